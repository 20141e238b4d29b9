//go:build !purego

#include "textflag.h"

// COUNT adds to the bytes of sum how often c, in Y0, is in the 32 bytes at off.
#define COUNT(off, sum) \
	VPCMPEQB off(SI), Y0, Y6; \
	VPSUBB   Y6, sum, sum

// TOTAL adds the bytes of sum to Y7.
#define TOTAL(sum) \
	VPSADBW sum, Y5, Y6; \
	VPADDQ  Y6, Y7, Y7

// func countAVX2(p *byte, n int, c byte) (count int)
//
// A byte can count 255 blocks. They are added up then.
TEXT ·countAVX2(SB), NOSPLIT, $0-32
	MOVQ         p+0(FP), SI
	MOVQ         n+8(FP), CX
	VPBROADCASTB c+16(FP), Y0
	VPXOR        Y5, Y5, Y5
	VPXOR        Y7, Y7, Y7

blocks:
	MOVQ    $255, DX
	CMPQ    CX, DX
	CMOVQLT CX, DX
	SUBQ    DX, CX
	VPXOR   Y1, Y1, Y1
	VPXOR   Y2, Y2, Y2
	VPXOR   Y3, Y3, Y3
	VPXOR   Y4, Y4, Y4

block:
	COUNT(0, Y1)
	COUNT(32, Y2)
	COUNT(64, Y3)
	COUNT(96, Y4)
	ADDQ  $128, SI
	DECQ  DX
	JNZ   block
	TOTAL(Y1)
	TOTAL(Y2)
	TOTAL(Y3)
	TOTAL(Y4)
	TESTQ CX, CX
	JNZ   blocks

	VEXTRACTI128 $1, Y7, X1
	VPADDQ       X1, X7, X7
	VPSRLDQ      $8, X7, X1
	VPADDQ       X1, X7, X7
	VMOVQ        X7, AX
	VZEROUPPER
	MOVQ         AX, count+24(FP)
	RET
