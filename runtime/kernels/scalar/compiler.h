/* What the kernels want of the compiler, and what is done where it isn't so.
 *
 * What enters: the compiler's macros, and MBN_PORTABLE if the build defines it. What leaves: the
 * options of the kernels' code, and MBN_PORTABLE where their asm statements can't be compiled: then
 * the portable C twins are taken, with the same bits. Always holds: this comes before anything else
 * of the kernels.
 *
 * The asm statements are gcc's: they take constants that inlining finds, and up to all fourteen
 * registers. Some options can't be seen from here, -ffixed-r9 and its like: -DMBN_PORTABLE is for
 * them.
 */
#ifndef MBN_SCALAR_COMPILER_H
#define MBN_SCALAR_COMPILER_H

#if !defined(__GNUC__) && !defined(__clang__)
#error "mbn: the kernels want a compiler that takes GNU C, as GCC, Clang and their like do"
#endif

#if !defined(MBN_PORTABLE) && (defined(__clang__) || !defined(__OPTIMIZE__))
#define MBN_PORTABLE 1
#endif

/* The kernels are made for -O2, whatever the rest of the program is built with: Arduino's -Os is
 * slower, -Og finds no constants, and a frame pointer takes a register that the asm needs. (On
 * ARMv6-M, whose asm wants neither, gcc's own -O2 is left alone: the pragma is not quite it.) */
#if !defined(__clang__) && defined(__OPTIMIZE__) &&                                                \
    (!defined(__ARM_ARCH_6M__) || defined(__OPTIMIZE_SIZE__))
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#endif
