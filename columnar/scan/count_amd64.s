//go:build !purego

#include "textflag.h"

// COUNT adds to the bytes of sum how often c, in Y0, is in the 32 bytes at off.
#define COUNT(off, sum) \
	VPCMPEQB off(SI), Y0, Y6; \
	VPSUBB   Y6, sum, sum

// BEGIN sets DX to how many of the CX blocks left are counted next, and their sums to 0.
#define BEGIN(most) \
	MOVQ    $most, DX; \
	CMPQ    CX, DX; \
	CMOVQLT CX, DX; \
	SUBQ    DX, CX; \
	VPXOR   Y1, Y1, Y1; \
	VPXOR   Y2, Y2, Y2; \
	VPXOR   Y3, Y3, Y3; \
	VPXOR   Y4, Y4, Y4

// TOTAL adds the bytes of sum to total.
#define TOTAL(sum, total) \
	VPSADBW sum, Y5, Y6; \
	VPADDQ  Y6, total, total

// RESULT stores in result the sum of the words of total, whose lower half is low.
#define RESULT(total, low, result) \
	VEXTRACTI128 $1, total, X1; \
	VPADDQ       X1, low, low; \
	VPSRLDQ      $8, low, X1; \
	VPADDQ       X1, low, low; \
	VMOVQ        low, AX; \
	MOVQ         AX, result

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
	BEGIN(255)

block:
	COUNT(0, Y1)
	COUNT(32, Y2)
	COUNT(64, Y3)
	COUNT(96, Y4)
	ADDQ  $128, SI
	DECQ  DX
	JNZ   block
	TOTAL(Y1, Y7)
	TOTAL(Y2, Y7)
	TOTAL(Y3, Y7)
	TOTAL(Y4, Y7)
	TESTQ CX, CX
	JNZ   blocks

	RESULT(Y7, X7, count+24(FP))
	VZEROUPPER
	RET

// COUNT2 adds to the bytes of sum1 how often c, in Y0, is in the 32 bytes at off, and to
// those of sum2 how often e, in Y8, is.
#define COUNT2(off, sum1, sum2) \
	VMOVDQU  off(SI), Y6; \
	VPCMPEQB Y6, Y0, Y9; \
	VPCMPEQB Y6, Y8, Y10; \
	VPSUBB   Y9, sum1, sum1; \
	VPSUBB   Y10, sum2, sum2

// func count2AVX2(p *byte, n int, c, e byte) (cs, es int)
//
// As countAVX2.
TEXT ·count2AVX2(SB), NOSPLIT, $0-40
	MOVQ         p+0(FP), SI
	MOVQ         n+8(FP), CX
	VPBROADCASTB c+16(FP), Y0
	VPBROADCASTB e+17(FP), Y8
	VPXOR        Y5, Y5, Y5
	VPXOR        Y7, Y7, Y7
	VPXOR        Y11, Y11, Y11

blocks:
	BEGIN(127) // a byte counts twice for each block

block:
	COUNT2(0, Y1, Y3)
	COUNT2(32, Y2, Y4)
	COUNT2(64, Y1, Y3)
	COUNT2(96, Y2, Y4)
	ADDQ  $128, SI
	DECQ  DX
	JNZ   block
	TOTAL(Y1, Y7)
	TOTAL(Y2, Y7)
	TOTAL(Y3, Y11)
	TOTAL(Y4, Y11)
	TESTQ CX, CX
	JNZ   blocks
	RESULT(Y7, X7, cs+24(FP))
	RESULT(Y11, X11, es+32(FP))
	VZEROUPPER
	RET
