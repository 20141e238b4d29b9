//go:build !purego

#include "textflag.h"

// 32 bytes of ones before as many zeros: what lies n bytes before the zeros
// masks the first n of 32 bytes.
DATA ·ones<>+0(SB)/8, $-1
DATA ·ones<>+8(SB)/8, $-1
DATA ·ones<>+16(SB)/8, $-1
DATA ·ones<>+24(SB)/8, $-1
DATA ·ones<>+32(SB)/8, $0
DATA ·ones<>+40(SB)/8, $0
DATA ·ones<>+48(SB)/8, $0
DATA ·ones<>+56(SB)/8, $0
GLOBL ·ones<>(SB), RODATA|NOPTR, $64

// func findAVX2(codes *int32, data *byte, last uint64, spans *Span, n int, slots *dictSlot, mask int, arena *byte) (missed uint64)
//
// In a large dictionary a look-up waits for memory twice: for the slot and for its
// text. So all texts are hashed and their slots asked for, then the texts of all
// slots, before the first is compared; and no jump on the way depends on a size, but
// that to the loop for texts over 32 bytes, which goes on with all that follow.
TEXT ·findAVX2(SB), NOSPLIT, $512-72
	MOVQ data+8(FP), SI
	MOVQ last+16(FP), DI
	MOVQ spans+24(FP), R8
	MOVQ n+32(FP), CX
	MOVQ slots+40(FP), R9
	MOVQ mask+48(FP), R10
	LEAQ ·ones<>+32(SB), R12
	XORL R13, R13 // missed
	XORL BX, BX

hash:
	MOVL       (R8)(BX*8), AX
	MOVL       4(R8)(BX*8), R11
	SUBL       AX, R11
	CMPQ       AX, DI
	JHI        odd
	CMPL       R11, $32
	JHI        long
	ADDQ       SI, AX
	MOVQ       R12, DX
	SUBQ       R11, DX
	SHLQ       $56, R11
	XORQ       ·hashKey1(SB), R11
	MOVQ       8(AX), R14
	ANDQ       8(DX), R14
	XORQ       R14, R11
	MOVQ       16(AX), R14
	ANDQ       16(DX), R14
	XORQ       ·hashKey2(SB), R14
	MOVQ       24(AX), R15
	ANDQ       24(DX), R15
	XORQ       ·hashKey3(SB), R15
	MOVQ       (AX), AX
	ANDQ       (DX), AX
	XORQ       ·hashKey0(SB), AX
	MULQ       R11
	XORQ       DX, AX
	MOVQ       AX, R11
	MOVQ       R14, AX
	MULQ       R15
	XORQ       DX, AX
	XORQ       R11, AX
	MOVQ       AX, (SP)(BX*8)
	SHRL       $1, AX
	ANDQ       R10, AX
	SHLQ       $4, AX
	PREFETCHT0 (R9)(AX*1)

hashed:
	INCQ BX
	CMPQ BX, CX
	JCS  hash

asked:
	MOVQ arena+56(FP), R11
	XORL BX, BX

fetch: // the slot, or the next if it is another's
	MOVL       (SP)(BX*8), DX
	MOVL       DX, AX
	ORL        $1, DX
	SHRL       $1, AX
	ANDQ       R10, AX
	MOVQ       AX, R14
	SHLQ       $4, R14
	XORL       R15, R15
	CMPL       DX, (R9)(R14*1)
	SETNE      R15
	ADDQ       R15, AX
	ANDQ       R10, AX
	SHLQ       $32, DX
	ORQ        AX, DX
	MOVQ       DX, (SP)(BX*8)
	SHLQ       $4, AX
	MOVL       8(R9)(AX*1), DX
	MOVL       12(R9)(AX*1), AX
	ADDQ       DX, AX
	PREFETCHT0 (R11)(DX*1)
	PREFETCHT0 -1(R11)(AX*1)
	INCQ       BX
	CMPQ       BX, CX
	JCS        fetch
	MOVQ       codes+0(FP), DI
	XORL       R10, R10
	XORL       BX, BX

compare:
	BTQ     BX, R13
	JCS     next
	MOVQ    (SP)(BX*8), DX
	MOVL    DX, AX
	SHRQ    $32, DX
	SHLQ    $4, AX
	ADDQ    R9, AX
	CMPL    DX, (AX)
	JNE     miss
	MOVL    (R8)(BX*8), R14
	MOVL    4(R8)(BX*8), R15
	SUBL    R14, R15
	CMPL    R15, 12(AX)
	JNE     miss
	MOVL    R15, DX
	SUBL    $32, DX
	CMOVLCS R10, DX               // where the last 32 bytes begin, or 0
	SUBQ    DX, R15
	ADDQ    SI, R14
	VMOVDQU (R14), Y0
	VMOVDQU (R14)(DX*1), Y1
	MOVL    8(AX), R14
	ADDQ    R11, R14
	VPXOR   (R14), Y0, Y0
	VPXOR   (R14)(DX*1), Y1, Y1
	VPOR    Y0, Y1, Y0
	MOVQ    R12, DX
	SUBQ    R15, DX
	VPTEST  (DX), Y0
	JNE     miss
	MOVL    4(AX), AX
	MOVL    AX, (DI)(BX*4)

next:
	INCQ BX
	CMPQ BX, CX
	JCS  compare
	VZEROUPPER
	MOVQ R13, missed+64(FP)
	RET

miss:
	BTSQ BX, R13
	JMP  next

long: // this text and those behind it: the first 32 bytes, and the last
	MOVL       (R8)(BX*8), AX
	MOVL       4(R8)(BX*8), R11
	SUBL       AX, R11
	CMPQ       AX, last+16(FP)
	JHI        over
	CMPL       R11, $64
	JHI        over
	LEAQ       (SI)(AX*1), DI
	XORL       R14, R14
	MOVL       R11, R15
	SUBL       $32, R15
	CMOVLCS    R14, R15
	MOVQ       (DI)(R15*1), AX
	XORQ       ·hashKey4(SB), AX
	MOVQ       8(DI)(R15*1), DX
	XORQ       ·hashKey5(SB), DX
	MULQ       DX
	XORQ       DX, AX
	MOVQ       AX, R14
	MOVQ       16(DI)(R15*1), AX
	XORQ       ·hashKey6(SB), AX
	MOVQ       24(DI)(R15*1), DX
	XORQ       ·hashKey7(SB), DX
	MULQ       DX
	XORQ       AX, R14
	XORQ       DX, R14
	MOVL       R11, AX
	SUBQ       R15, AX
	NEGQ       R15
	SBBQ       R15, R15
	ANDQ       R15, R14              // nothing of the last bytes if the first are all
	MOVQ       R12, R15
	SUBQ       AX, R15
	SHLQ       $56, R11
	XORQ       ·hashKey1(SB), R11
	MOVQ       8(DI), AX
	ANDQ       8(R15), AX
	XORQ       R11, AX
	MOVQ       (DI), DX
	ANDQ       (R15), DX
	XORQ       ·hashKey0(SB), DX
	MULQ       DX
	XORQ       AX, R14
	XORQ       DX, R14
	MOVQ       16(DI), AX
	ANDQ       16(R15), AX
	XORQ       ·hashKey2(SB), AX
	MOVQ       24(DI), DX
	ANDQ       24(R15), DX
	XORQ       ·hashKey3(SB), DX
	MULQ       DX
	XORQ       R14, AX
	XORQ       DX, AX
	MOVQ       AX, (SP)(BX*8)
	SHRL       $1, AX
	ANDQ       R10, AX
	SHLQ       $4, AX
	PREFETCHT0 (R9)(AX*1)

longHashed:
	INCQ BX
	CMPQ BX, CX
	JCS  long
	JMP  asked

over:
	BTSQ BX, R13
	MOVQ $0, (SP)(BX*8)
	JMP  longHashed

odd:
	BTSQ BX, R13
	MOVQ $0, (SP)(BX*8)
	JMP  hashed
