//go:build !purego

#include "textflag.h"

// MARK stores at off in the mark a bitmap of the bytes of Y3 and Y4, 64 bytes of
// text, that are as those of want.
#define MARK(want, off) \
	VPCMPEQB  want, Y3, Y5; \
	VPCMPEQB  want, Y4, Y6; \
	VPMOVMSKB Y5, AX; \
	VPMOVMSKB Y6, BX; \
	SHLQ      $32, BX; \
	ORQ       BX, AX; \
	MOVQ      AX, off(DI)

// func markAVX2(marks *Mark, p *byte, n int, sep, other byte)
TEXT ·markAVX2(SB), NOSPLIT, $0-26
	MOVQ         marks+0(FP), DI
	MOVQ         p+8(FP), SI
	MOVQ         n+16(FP), CX
	VPBROADCASTB sep+24(FP), Y0
	MOVQ         $10, AX
	VMOVQ        AX, X1
	VPBROADCASTB X1, Y1
	VPBROADCASTB other+25(FP), Y2

block:
	VMOVDQU (SI), Y3
	VMOVDQU 32(SI), Y4
	MARK(Y0, 0)
	MARK(Y1, 8)
	MARK(Y2, 16)
	ADDQ    $64, SI
	ADDQ    $24, DI
	DECQ    CX
	JNZ     block
	VZEROUPPER
	RET

// PLACE writes the place of the lowest bit of AX, and clears it.
#define PLACE(off) \
	TZCNTQ AX, BX; \
	ADDL   DX, BX; \
	MOVL   BX, off(DI); \
	BLSRQ  AX, AX

#define PLACES(off) \
	PLACE(off+0) \
	PLACE(off+4) \
	PLACE(off+8) \
	PLACE(off+12)

// func placesBMI(pos *uint32, marks *Mark, n, at int) (count int)
//
// A block rarely has more than 8 fields: so many are written without asking how
// many there are, which would be mispredicted.
TEXT ·placesBMI(SB), NOSPLIT, $0-40
	MOVQ pos+0(FP), DI
	MOVQ DI, R8
	MOVQ marks+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ at+24(FP), DX

block:
	MOVQ    (SI), AX
	ORQ     8(SI), AX
	POPCNTQ AX, R9
	MOVQ    DI, R10
	PLACES(0)
	PLACES(16)
	CMPQ    R9, $8
	JLE     done

more:
	ADDQ  $32, DI
	PLACES(0)
	PLACES(16)
	TESTQ AX, AX
	JNZ   more

done:
	LEAQ (R10)(R9*4), DI
	ADDQ $24, SI
	ADDQ $64, DX
	DECQ CX
	JNZ  block
	SUBQ R8, DI
	SHRQ $2, DI
	MOVQ DI, count+32(FP)
	RET
