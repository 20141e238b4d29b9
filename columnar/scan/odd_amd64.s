//go:build !purego

#include "textflag.h"

// func oddAVX2(p *byte, n int) (at int)
//
// A newline is that of an odd line if the byte behind it is no digit, nor a quote with a
// digit behind it.
TEXT ·oddAVX2(SB), NOSPLIT, $0-24
	MOVQ         p+0(FP), SI
	MOVQ         n+8(FP), CX
	XORL         BX, BX
	MOVL         $0x0a0a0a0a, AX
	VMOVD        AX, X8
	VPBROADCASTD X8, Y8
	MOVL         $0x22222222, AX
	VMOVD        AX, X9
	VPBROADCASTD X9, Y9
	MOVL         $0xd0d0d0d0, AX // −'0'
	VMOVD        AX, X10
	VPBROADCASTD X10, Y10
	MOVL         $0x09090909, AX
	VMOVD        AX, X11
	VPBROADCASTD X11, Y11

block:
	VPCMPEQB  (SI)(BX*1), Y8, Y0
	VMOVDQU   1(SI)(BX*1), Y1
	VPADDB    Y10, Y1, Y2
	VPMINUB   Y11, Y2, Y3
	VPCMPEQB  Y2, Y3, Y2
	VPCMPEQB  Y1, Y9, Y1
	VPADDB    2(SI)(BX*1), Y10, Y3
	VPMINUB   Y11, Y3, Y4
	VPCMPEQB  Y3, Y4, Y3
	VPAND     Y1, Y3, Y3
	VPOR      Y3, Y2, Y2
	VPANDN    Y0, Y2, Y0
	VPMOVMSKB Y0, AX
	TESTL     AX, AX
	JNZ       found
	ADDQ      $32, BX
	CMPQ      BX, CX
	JLT       block
	MOVQ      $-1, BX
	VZEROUPPER
	MOVQ      BX, at+16(FP)
	RET

found:
	BSFL AX, AX
	ADDQ AX, BX
	VZEROUPPER
	MOVQ BX, at+16(FP)
	RET
