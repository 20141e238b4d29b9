//go:build !purego

#include "textflag.h"

// func stopAVX2(stops, text *byte, blocks int)
TEXT ·stopAVX2(SB), NOSPLIT, $0-24
	MOVQ stops+0(FP), DI
	MOVQ text+8(FP), DX
	MOVQ blocks+16(FP), CX
	// VMOVQ and not MOVQ: an instruction of SSE while the upper half of a register is
	// in use costs 800 ns on some machines.
	MOVQ $0x22222222, AX
	VMOVQ AX, X10
	VPBROADCASTB X10, Y10        // quote
	MOVQ $0x5c5c5c5c, AX
	VMOVQ AX, X11
	VPBROADCASTB X11, Y11        // backslash
	MOVQ $0x1f1f1f1f, AX
	VMOVQ AX, X12
	VPBROADCASTB X12, Y12        // the last control character

loop:
	VMOVDQU (DX), Y0
	VMOVDQU 32(DX), Y1

	VPCMPEQB Y0, Y10, Y2
	VPCMPEQB Y1, Y10, Y3
	VPCMPEQB Y0, Y11, Y4
	VPCMPEQB Y1, Y11, Y5
	VPOR     Y2, Y4, Y2
	VPOR     Y3, Y5, Y3
	VPMINUB  Y0, Y12, Y4
	VPMINUB  Y1, Y12, Y5
	VPCMPEQB Y0, Y4, Y4
	VPCMPEQB Y1, Y5, Y5
	VPOR     Y2, Y4, Y2
	VPOR     Y3, Y5, Y3
	VPMOVMSKB Y2, AX
	VPMOVMSKB Y3, BX
	SHLQ $32, BX
	ORQ  BX, AX
	MOVQ AX, (DI)

	ADDQ $64, DX
	ADDQ $8, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET
