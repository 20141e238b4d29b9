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

// func markAVX2(marks *mark, p *byte, n int, sep, other byte)
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
