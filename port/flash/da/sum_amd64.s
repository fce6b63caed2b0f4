#include "textflag.h"

// func sum64(b []byte) uint64
//
// Adds the bytes of b, whose length is a multiple of 64 and not 0. PSADBW adds
// eight bytes of a register at once; every amd64 has it.
TEXT ·sum64(SB), NOSPLIT, $0-32
	MOVQ b_base+0(FP), SI
	MOVQ b_len+8(FP), CX
	PXOR X0, X0
	PXOR X1, X1
	PXOR X2, X2

loop:
	MOVOU  (SI), X3
	MOVOU  16(SI), X4
	MOVOU  32(SI), X5
	MOVOU  48(SI), X6
	PSADBW X0, X3
	PSADBW X0, X4
	PSADBW X0, X5
	PSADBW X0, X6
	PADDQ  X3, X1
	PADDQ  X4, X2
	PADDQ  X5, X1
	PADDQ  X6, X2
	ADDQ   $64, SI
	SUBQ   $64, CX
	JNZ    loop
	PADDQ  X2, X1
	MOVO   X1, X2
	PSRLDQ $8, X2
	PADDQ  X2, X1
	MOVQ   X1, AX
	MOVQ   AX, ret+24(FP)
	RET
