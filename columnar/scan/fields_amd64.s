//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// MASK sets out to a bitmap of the bytes of Y3 and Y4, 64 bytes of text, that are as those of want.
#define MASK(want, out) \
	VPCMPEQB  want, Y3, Y5; \
	VPCMPEQB  want, Y4, Y6; \
	VPMOVMSKB Y5, out; \
	VPMOVMSKB Y6, R15; \
	SHLQ      $32, R15; \
	ORQ       R15, out

// PLACE writes the place of the lowest bit of AX, and clears it.
#define PLACE(off) \
	TZCNTQ AX, CX; \
	ADDL   DX, CX; \
	MOVL   CX, off(R15); \
	BLSRQ  AX, AX

#define PLACES(off) \
	PLACE(off+0) \
	PLACE(off+4) \
	PLACE(off+8) \
	PLACE(off+12)

// func fieldsAVX2(b *fieldBlocks) bool
//
// What byMarks does where there are no quotes, without marks in memory. A block rarely has more than 8 fields, or
// more than one record: so many are written without asking how many there are.
TEXT ·fieldsAVX2(SB), NOSPLIT, $0-9
	MOVQ         b+0(FP), AX
	MOVQ         fieldBlocks_pos(AX), DI
	MOVQ         fieldBlocks_ends(AX), R8
	MOVQ         fieldBlocks_text(AX), SI
	MOVQ         fieldBlocks_size(AX), R12
	ADDQ         SI, R12
	MOVQ         fieldBlocks_at(AX), DX
	MOVQ         fieldBlocks_fields(AX), R9
	MOVQ         fieldBlocks_noted(AX), R10
	MOVQ         fieldBlocks_outside(AX), R11
	XORL         R13, R13
	VPBROADCASTB fieldBlocks_sep(AX), Y0
	VPBROADCASTB fieldBlocks_other(AX), Y2
	MOVL         $'\n', CX
	VMOVQ        CX, X1
	VPBROADCASTB X1, Y1
	MOVL         $'"', CX
	VMOVQ        CX, X7
	VPBROADCASTB X7, Y7
	MOVL         $'[', CX
	VMOVQ        CX, X8
	VPBROADCASTB X8, Y8

block:
	VMOVDQU (SI), Y3
	VMOVDQU 32(SI), Y4
	MASK(Y0, AX)
	MASK(Y1, BX)
	MASK(Y2, R14)
	ORQ     BX, AX
	TESTQ   R10, R14
	JNE     stop

	// Which fields begin with a byte up to ", or with [.
	VPMINUB   Y3, Y7, Y5
	VPMINUB   Y4, Y7, Y6
	VPCMPEQB  Y3, Y5, Y5
	VPCMPEQB  Y4, Y6, Y6
	VPCMPEQB  Y3, Y8, Y3
	VPCMPEQB  Y4, Y8, Y4
	VPOR      Y3, Y5, Y5
	VPOR      Y4, Y6, Y6
	VPMOVMSKB Y5, CX
	VPMOVMSKB Y6, R15
	SHLQ      $32, R15
	ORQ       R15, CX
	LEAQ      (R11)(AX*2), R15
	ANDQ      R15, CX
	ORQ       CX, R13
	MOVQ      AX, R11
	SHRQ      $63, R11
	POPCNTQ   AX, R14

record: // where in pos its end is
	BLSMSKQ BX, CX
	ANDQ    AX, CX
	POPCNTQ CX, CX
	LEAQ    -1(R9)(CX*1), CX
	MOVQ    CX, (R8)
	XORL    CX, CX
	TESTQ   BX, BX
	SETNE   CX
	LEAQ    (R8)(CX*8), R8
	BLSRQ   BX, BX
	JNE     record
	LEAQ    (DI)(R9*4), R15
	ADDQ    R14, R9
	PLACES(0)
	PLACES(16)
	TESTQ   AX, AX
	JNE     more

next:
	ADDQ $64, SI
	ADDQ $64, DX
	CMPQ SI, R12
	JCS  block
	MOVQ b+0(FP), AX
	MOVQ R8, fieldBlocks_ends(AX)
	MOVQ R9, fieldBlocks_fields(AX)
	MOVQ R11, fieldBlocks_outside(AX)
	MOVQ R13, fieldBlocks_odd(AX)
	MOVB $1, ret+8(FP)
	VZEROUPPER
	RET

more:
	ADDQ  $32, R15
	PLACES(0)
	PLACES(16)
	TESTQ AX, AX
	JNE   more
	JMP   next

stop:
	MOVB $0, ret+8(FP)
	VZEROUPPER
	RET
