/* What the kernels need of the compiler, and what happens if it is missing.
 *
 * This file sets the options of the kernels' code. It defines MBN_PORTABLE where their asm
 * statements can't be compiled (a build may define it too): then the portable C forms are used,
 * with the same bits. It must be included before anything else of the kernels.
 *
 * The asm statements are written for gcc: they take constants that inlining finds, and up to all
 * fourteen registers. Some options can't be detected here, such as -ffixed-r9; define MBN_PORTABLE
 * if you use them.
 */
#ifndef MBN_SCALAR_COMPILER_H
#define MBN_SCALAR_COMPILER_H

#if !defined(__GNUC__) && !defined(__clang__)
#error "mbn: the kernels want a compiler that takes GNU C, as GCC, Clang and their like do"
#endif

/* Whether network.S has bodies, if the core has what its kernel set wants: as there. */
#if defined(__arm__) && !defined(MBN_PORTABLE)
#define MBN_ASSEMBLY 1
#else
#define MBN_ASSEMBLY 0
#endif

#if !defined(MBN_PORTABLE) && (defined(__clang__) || !defined(__OPTIMIZE__))
#define MBN_PORTABLE 1
#endif

/* The kernels are compiled with -O2, whatever the rest of the program uses: Arduino's -Os is
 * slower, -Og finds no constants, and a frame pointer takes a register that the asm needs. On
 * ARMv6-M the asm needs none of this, and gcc's own -O2 is kept, which the pragma doesn't quite
 * equal. */
#if !defined(__clang__) && defined(__OPTIMIZE__) &&                                                \
    (!defined(__ARM_ARCH_6M__) || defined(__OPTIMIZE_SIZE__))
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#endif
