//go:build !purego

#include "go_asm.h"
#include "textflag.h"

DATA ·eightSpaces<>+0(SB)/8, $0x2020202020202020
GLOBL ·eightSpaces<>(SB), RODATA|NOPTR, $8

// func cutBMI(spans *[numSquidFields]uint64, steps *squidStep, n int, text *byte, window int, spaces, quotes *uint64, at int) (end int)
TEXT ·cutBMI(SB), NOSPLIT, $0-72
	MOVQ spans+0(FP), DI
	MOVQ steps+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ text+24(FP), R8
	MOVQ window+32(FP), R11
	MOVQ R11, AX
	SHLQ $32, AX
	ORQ  AX, R11
	MOVQ spaces+40(FP), R9
	MOVQ quotes+48(FP), R10
	MOVQ at+56(FP), AX

step:
	CMPB   squidStep_padded(SI), $0
	JEQ    search
	MOVQ   (R8)(AX*1), BX
	XORQ   ·eightSpaces<>(SB), BX
	TZCNTQ BX, BX
	SHRQ   $3, BX
	ADDQ   BX, AX

search: // the first mark from AX on: its place is R12, and DX has the marks from there
	MOVBLZX squidStep_end(SI), R13
	MOVQ    R9, R15
	CMPL    R13, $const_squidToQuote
	CMOVQEQ R10, R15
	MOVQ    AX, R14

word:
	MOVQ   R14, BX
	SHRQ   $6, BX
	SHRXQ  R14, (R15)(BX*8), DX
	MOVQ   8(R15)(BX*8), R12
	ADDQ   R12, R12
	MOVQ   R14, BX
	NOTQ   BX
	SHLXQ  BX, R12, R12
	ORQ    R12, DX
	TZCNTQ DX, R12
	JCC    found
	ADDQ   $64, R14
	JMP    word

found:
	ADDQ R14, R12
	CMPL R13, $const_squidToSpace
	JNE  quote
	CMPQ R12, AX
	JEQ  no

ended: // the field is from AX to R12
	MOVQ    (R8)(R12*1), BX
	XORQ    squidStep_word(SI), BX
	TESTQ   BX, squidStep_mask(SI)
	JNE     no
	SHLQ    $32, AX
	ADDQ    R12, AX
	ADDQ    R11, AX
	MOVBLZX squidStep_field(SI), R13
	MOVQ    AX, (DI)(R13*8)
	MOVL    squidStep_size(SI), AX
	ADDQ    R12, AX
	ADDQ    $squidStep__size, SI
	DECQ    CX
	JNZ     step
	VZEROUPPER
	MOVQ    AX, end+64(FP)
	RET

quote:
	CMPL R13, $const_squidToQuote
	JNE  byte
	CMPB squidStep_quoted(SI), $0
	JEQ  bare
	CMPB -1(R8)(R12*1), $0x5c // a backslash
	JEQ  no
	JMP  ended

bare:
	CMPQ R12, AX
	JEQ  no
	CMPB (R8)(AX*1), $0x20
	JEQ  no
	JMP  ended

byte: // which must stand before the space
	CMPL         R13, $const_squidToByte
	JNE          size
	VPBROADCASTB squidStep_word(SI), Y0
	VPCMPEQB     (R8)(AX*1), Y0, Y0
	VPMOVMSKB    Y0, BX
	TZCNTL       BX, BX
	JCS          no
	JEQ          no
	ADDQ         AX, BX
	CMPQ         BX, R12
	JCC          no
	MOVQ         BX, R12
	JMP          ended

size:
	CMPL R13, $const_squidToSize
	JNE  line
	ANDL $(1<<const_squidDateSize-1), DX
	CMPL DX, $(1<<20)
	JNE  no
	CMPB 20(R8)(AX*1), $0x20
	JNE  no
	LEAQ const_squidDateSize(AX), R12
	JMP  ended

line:
	CMPQ R12, AX
	JEQ  no
	CMPB -1(R8)(R12*1), $0x0d // a carriage return
	JNE  ended
	DECQ R12
	CMPQ R12, AX
	JEQ  no
	CMPB -1(R8)(R12*1), $0x0d
	JNE  ended

no:
	VZEROUPPER
	MOVQ $-1, end+64(FP)
	RET
