/* tiny, compiled by mbn.
 *
 * Model:  deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10
 * Input:  8x6x3 int8, real = 0.0078125 * (q - 0), stream
 * Output: 1x1x3 int8, real = 0.0625 * (q - 7)
 * Cost:   1983 multiply-accumulates, 195 parameters,
 *         216 bytes of arena, 327 bytes of weights and tables
 */
#if defined(__arm__) && !defined(MBN_PORTABLE) && (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__) || defined(__ARM_ARCH_7M__))
    .syntax unified
    .thumb

#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
@ A line of 3 pixels of a depthwise 3x3: 4 channels.
@
@ r0   given0 (argument), spare, here, row (a row's first column), mlow (low half of 2m), at_now
@ r1   given1 (argument), tile, w0 (a weight), mhigh (high half of 2m), by
@ r2   given2 (argument), w1 (a weight), half (2^15)
@ r3   given3 (argument), w2 (a weight), total (a sum, then its high half, then the result)
@ r4   value (a value), low (low half of the sum)
@ r5   product (a product), part (a word, then of the product)
@ r6   cross (of the product)
@ r7   weights (of the channel), at (output)
@ r8   sum0 (of pixel 0)
@ r9   sum1 (of pixel 1)
@ r10  sum2 (of pixel 2)
@ r11  column (of a group, bytes from the row's start)
@ r12  to (a group's place in the tile)
    .section .text.mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192, "ax", %progbits
    .global mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192
    .hidden mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192
    .type   mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192, %function
    .p2align 2
    .thumb_func
mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192:
    .cfi_startproc
    push    {r3, r4, r5, r6, r7, lr}
    .cfi_def_cfa_offset 24
    .cfi_offset lr, -4
    .cfi_offset r7, -8
    .cfi_offset r6, -12
    .cfi_offset r5, -16
    .cfi_offset r4, -20
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r4, r5, r6, r7}
    .cfi_adjust_cfa_offset 16
    .cfi_offset r8, -40
    .cfi_offset r9, -36
    .cfi_offset r10, -32
    .cfi_offset r11, -28
    sub     sp, #64
    .cfi_adjust_cfa_offset 64
given0 .req r0
given1 .req r1
given2 .req r2
given3 .req r3
    str     given0, [sp, #0]                 @ row0
    str     given1, [sp, #4]                 @ row1
    str     given2, [sp, #8]                 @ row2
    str     given3, [sp, #12]                @ weights_at
.unreq given0
.unreq given1
.unreq given2
.unreq given3
spare .req r0
tile .req r1
    ldr     spare, [sp, #104]
    str     spare, [sp, #16]                 @ bias_at
    ldr     spare, [sp, #108]
    str     spare, [sp, #20]                 @ factor_at
    ldr     spare, [sp, #112]
    str     spare, [sp, #24]                 @ offset_at
    ldr     spare, [sp, #116]
    str     spare, [sp, #28]                 @ exponent_at
    ldr     spare, =0x4
    str     spare, [sp, #32]                 @ left
    ldr     spare, =0x8000
    str     spare, [sp, #36]                 @ half0
    ldr     spare, =0x4
    str     spare, [sp, #40]                 @ plane
    ldr     spare, =0x0
    str     spare, [sp, #44]                 @ column0
    ldr     spare, =0x3
    str     spare, [sp, #48]                 @ end0
    ldr     spare, =0x0
    str     spare, [sp, #52]                 @ place0
    ldr     spare, =0xc
    str     spare, [sp, #56]                 @ step0
    b       .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_over1
    .ltorg
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_over1:
    ldr     tile, [sp, #120]
    ldr     spare, [sp, #52]                 @ place0
    adds    spare, spare, tile
    str     spare, [sp, #52]                 @ place0
.unreq spare
.unreq tile
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_channel:
column .req r11
to .req r12
    @ 
    @ 1 x 3 pixels; 1 columns outside at the left, 1 at the right
here .req r0
    ldr     here, [sp, #44]                  @ column0
    mov     column, here
    ldr     here, [sp, #52]                  @ place0
    mov     to, here
    adds    here, #3                         @ of the next channel
    str     here, [sp, #52]                  @ place0
.unreq here
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_groups2:
row .req r0
w0 .req r1
w1 .req r2
w2 .req r3
value .req r4
product .req r5
weights .req r7
sum0 .req r8
sum1 .req r9
sum2 .req r10
    ldr     row, [sp, #16]                   @ bias_at
    ldr     row, [row]
    mov     sum0, row
    mov     sum1, row
    mov     sum2, row
    ldr     weights, [sp, #12]               @ weights_at
    ldr     row, [sp, #0]                    @ row0
    add     row, column
    ldrb    w0, [weights, #0]
    sxtb    w0, w0
    ldrb    w1, [weights, #1]
    sxtb    w1, w1
    ldrb    w2, [weights, #2]
    sxtb    w2, w2
    movs    value, #128
    rsbs    value, value, #0
    muls    value, w0, value
    add     sum0, value
    ldrb    value, [row, #0]
    sxtb    value, value
    mov     product, value
    muls    product, w1, product
    add     sum0, product
    muls    value, w0, value
    add     sum1, value
    ldrb    value, [row, #1]
    sxtb    value, value
    mov     product, value
    muls    product, w2, product
    add     sum0, product
    mov     product, value
    muls    product, w1, product
    add     sum1, product
    muls    value, w0, value
    add     sum2, value
    ldrb    value, [row, #2]
    sxtb    value, value
    mov     product, value
    muls    product, w2, product
    add     sum1, product
    muls    value, w1, value
    add     sum2, value
    movs    value, #128
    rsbs    value, value, #0
    muls    value, w2, value
    add     sum2, value
    ldr     row, [sp, #4]                    @ row1
    add     row, column
    ldrb    w0, [weights, #3]
    sxtb    w0, w0
    ldrb    w1, [weights, #4]
    sxtb    w1, w1
    ldrb    w2, [weights, #5]
    sxtb    w2, w2
    movs    value, #128
    rsbs    value, value, #0
    muls    value, w0, value
    add     sum0, value
    ldrb    value, [row, #0]
    sxtb    value, value
    mov     product, value
    muls    product, w1, product
    add     sum0, product
    muls    value, w0, value
    add     sum1, value
    ldrb    value, [row, #1]
    sxtb    value, value
    mov     product, value
    muls    product, w2, product
    add     sum0, product
    mov     product, value
    muls    product, w1, product
    add     sum1, product
    muls    value, w0, value
    add     sum2, value
    ldrb    value, [row, #2]
    sxtb    value, value
    mov     product, value
    muls    product, w2, product
    add     sum1, product
    muls    value, w1, value
    add     sum2, value
    movs    value, #128
    rsbs    value, value, #0
    muls    value, w2, value
    add     sum2, value
    ldr     row, [sp, #8]                    @ row2
    add     row, column
    ldrb    w0, [weights, #6]
    sxtb    w0, w0
    ldrb    w1, [weights, #7]
    sxtb    w1, w1
    ldrb    w2, [weights, #8]
    sxtb    w2, w2
    movs    value, #128
    rsbs    value, value, #0
    muls    value, w0, value
    add     sum0, value
    ldrb    value, [row, #0]
    sxtb    value, value
    mov     product, value
    muls    product, w1, product
    add     sum0, product
    muls    value, w0, value
    add     sum1, value
    ldrb    value, [row, #1]
    sxtb    value, value
    mov     product, value
    muls    product, w2, product
    add     sum0, product
    mov     product, value
    muls    product, w1, product
    add     sum1, product
    muls    value, w0, value
    add     sum2, value
    ldrb    value, [row, #2]
    sxtb    value, value
    mov     product, value
    muls    product, w2, product
    add     sum1, product
    muls    value, w1, value
    add     sum2, value
    movs    value, #128
    rsbs    value, value, #0
    muls    value, w2, value
    add     sum2, value
.unreq row
.unreq w0
.unreq w1
.unreq w2
.unreq value
.unreq product
.unreq weights
mlow .req r0
mhigh .req r1
half .req r2
total .req r3
low .req r4
part .req r5
cross .req r6
at .req r7
    ldr     half, [sp, #36]                  @ half0
    ldr     part, [sp, #20]                  @ factor_at
    ldr     mhigh, [part]
    uxth    mlow, mhigh
    lsrs    mhigh, mhigh, #16
    mov     at, to
    mov     total, sum0
    uxth    low, total
    asrs    total, total, #16
    mov     part, low
    muls    part, mlow, part
    lsrs    part, part, #16
    muls    low, mhigh, low
    adds    low, low, part
    adds    low, low, half                   @ middle
    uxth    part, low
    lsrs    low, low, #16
    mov     cross, total
    muls    cross, mlow, cross
    adds    cross, cross, part
    asrs    cross, cross, #16
    muls    total, mhigh, total
    adds    total, total, low
    adds    total, total, cross
    sxtb    low, total
    cmp     low, total
    beq     .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside3
    asrs    total, total, #31
    movs    low, #127
    eors    total, low
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside3:
    adds    total, #128                      @ the clamp, as immediates of eight bits
    cmp     total, #0
    bge     .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside4
    movs    total, #0
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside4:
    cmp     total, #192
    ble     .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside5
    movs    total, #192
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside5:
    subs    total, #128
    adds    total, #128
    strb    total, [at, #0]
    mov     total, sum1
    uxth    low, total
    asrs    total, total, #16
    mov     part, low
    muls    part, mlow, part
    lsrs    part, part, #16
    muls    low, mhigh, low
    adds    low, low, part
    adds    low, low, half                   @ middle
    uxth    part, low
    lsrs    low, low, #16
    mov     cross, total
    muls    cross, mlow, cross
    adds    cross, cross, part
    asrs    cross, cross, #16
    muls    total, mhigh, total
    adds    total, total, low
    adds    total, total, cross
    sxtb    low, total
    cmp     low, total
    beq     .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside6
    asrs    total, total, #31
    movs    low, #127
    eors    total, low
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside6:
    adds    total, #128                      @ the clamp, as immediates of eight bits
    cmp     total, #0
    bge     .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside7
    movs    total, #0
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside7:
    cmp     total, #192
    ble     .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside8
    movs    total, #192
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside8:
    subs    total, #128
    adds    total, #128
    strb    total, [at, #1]
    mov     total, sum2
    uxth    low, total
    asrs    total, total, #16
    mov     part, low
    muls    part, mlow, part
    lsrs    part, part, #16
    muls    low, mhigh, low
    adds    low, low, part
    adds    low, low, half                   @ middle
    uxth    part, low
    lsrs    low, low, #16
    mov     cross, total
    muls    cross, mlow, cross
    adds    cross, cross, part
    asrs    cross, cross, #16
    muls    total, mhigh, total
    adds    total, total, low
    adds    total, total, cross
    sxtb    low, total
    cmp     low, total
    beq     .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside9
    asrs    total, total, #31
    movs    low, #127
    eors    total, low
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside9:
    adds    total, #128                      @ the clamp, as immediates of eight bits
    cmp     total, #0
    bge     .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside10
    movs    total, #0
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside10:
    cmp     total, #192
    ble     .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside11
    movs    total, #192
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_inside11:
    subs    total, #128
    adds    total, #128
    strb    total, [at, #2]
.unreq mlow
.unreq mhigh
.unreq half
.unreq total
.unreq low
.unreq part
.unreq cross
.unreq at
.unreq sum0
.unreq sum1
.unreq sum2
.unreq column
.unreq to
at_now .req r0
by .req r1
    @ 
    ldr     by, [sp, #40]                    @ plane
    ldr     at_now, [sp, #0]                 @ row0
    adds    at_now, at_now, by
    str     at_now, [sp, #0]                 @ row0
    ldr     at_now, [sp, #4]                 @ row1
    adds    at_now, at_now, by
    str     at_now, [sp, #4]                 @ row1
    ldr     at_now, [sp, #8]                 @ row2
    adds    at_now, at_now, by
    str     at_now, [sp, #8]                 @ row2
    ldr     at_now, [sp, #16]                @ bias_at
    adds    at_now, #4
    str     at_now, [sp, #16]                @ bias_at
    ldr     at_now, [sp, #20]                @ factor_at
    adds    at_now, #4
    str     at_now, [sp, #20]                @ factor_at
    ldr     at_now, [sp, #24]                @ offset_at
    adds    at_now, #4
    str     at_now, [sp, #24]                @ offset_at
    ldr     at_now, [sp, #28]                @ exponent_at
    adds    at_now, #4
    str     at_now, [sp, #28]                @ exponent_at
    ldr     at_now, [sp, #12]                @ weights_at
    adds    at_now, #9
    str     at_now, [sp, #12]                @ weights_at
    ldr     at_now, [sp, #32]                @ left
    subs    at_now, #1
    str     at_now, [sp, #32]                @ left
    beq     .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_done12
    bl      .Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_channel
.Ldepthwise_4x3to3_1_1_4_0_4_s0_0to192_done12:
.unreq at_now
.unreq by
    movs    r0, #0
    add     sp, #64
    pop     {r4, r5, r6, r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r3, r4, r5, r6, r7, pc}
    .cfi_endproc
    .size   mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192, . - mbn_model_depthwise_4x3to3_1_1_4_0_4_s0_0to192
#endif

#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
@ Pointwise of 4 x 3 pixels: 4 inputs, 5 output channels.
@
@ r0   tile (argument), spare, from (packed weights), x (values of the tile), mlow (low half of 2m), next, n
@ r1   stream (argument), to (unpacked weights), weights (unpacked weights), mhigh (high half of 2m), s
@ r2   unpacked (argument), last (end of the packed weights), last (end of the turns), half (2^15), o
@ r3   out (argument), mask (0x00ff00ff), first (W of a pair's first tap), total (a sum, then its high half, then the result)
@ r4   even (bytes 0 and 2, then W of the first tap), second (W of its second tap), low (low half of the sum)
@ r5   odd (two taps of both channels, then W of the second tap), start (start of S), part (a word, then of the product)
@ r6   begin (start of S), total (S), cross (of the product)
@ r7   value (a value, then its product), at (output), entry_now
@ r8   centre (-0x00800080), whole0 (P of pixel 0)
@ r9   start (2^31 + 2^15), whole1 (P of pixel 1)
@ r10  whole2 (P of pixel 2)
@ r11  upper0 (B of pixel 0)
@ r12  upper1 (B of pixel 1)
@ lr   upper2 (B of pixel 2)
    .section .text.mbn_model_pointwise_4x5_4x3_4_20_s0_0to192, "ax", %progbits
    .global mbn_model_pointwise_4x5_4x3_4_20_s0_0to192
    .hidden mbn_model_pointwise_4x5_4x3_4_20_s0_0to192
    .type   mbn_model_pointwise_4x5_4x3_4_20_s0_0to192, %function
    .p2align 2
    .thumb_func
mbn_model_pointwise_4x5_4x3_4_20_s0_0to192:
    .cfi_startproc
    push    {r3, r4, r5, r6, r7, lr}
    .cfi_def_cfa_offset 24
    .cfi_offset lr, -4
    .cfi_offset r7, -8
    .cfi_offset r6, -12
    .cfi_offset r5, -16
    .cfi_offset r4, -20
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r4, r5, r6, r7}
    .cfi_adjust_cfa_offset 16
    .cfi_offset r8, -40
    .cfi_offset r9, -36
    .cfi_offset r10, -32
    .cfi_offset r11, -28
    sub     sp, #80
    .cfi_adjust_cfa_offset 80
tile .req r0
stream .req r1
unpacked .req r2
out .req r3
    str     tile, [sp, #0]                   @ tile0
    str     stream, [sp, #4]                 @ stream0
    str     unpacked, [sp, #8]               @ unpacked0
    str     out, [sp, #12]                   @ out0
.unreq tile
.unreq stream
.unreq unpacked
.unreq out
spare .req r0
    ldr     spare, =.Lpointwise_4x5_4x3_4_20_s0_0to192_table0
    str     spare, [sp, #40]                 @ places3
    ldr     spare, =0x3
    str     spare, [sp, #20]                 @ left
    ldr     spare, =0xff00ff
    str     spare, [sp, #52]                 @ mask0
    ldr     spare, =0xff7fff80
    str     spare, [sp, #56]                 @ centre0
    ldr     spare, =0x80008000
    str     spare, [sp, #60]                 @ start0
    ldr     spare, =0x8000
    str     spare, [sp, #64]                 @ half0
    ldr     spare, =0x8
    str     spare, [sp, #68]                 @ packed
    ldr     spare, =0x18
    str     spare, [sp, #72]                 @ turns
    ldr     spare, =0x4
    str     spare, [sp, #76]                 @ plane
    b       .Lpointwise_4x5_4x3_4_20_s0_0to192_over1
    .ltorg
.Lpointwise_4x5_4x3_4_20_s0_0to192_over1:
.unreq spare
.Lpointwise_4x5_4x3_4_20_s0_0to192_couple:
from .req r0
to .req r1
last .req r2
mask .req r3
even .req r4
odd .req r5
begin .req r6
centre .req r8
start .req r9
    ldr     mask, [sp, #56]                  @ centre0
    mov     centre, mask
    ldr     mask, [sp, #60]                  @ start0
    mov     start, mask
    ldr     mask, [sp, #76]                  @ plane
    ldr     last, [sp, #20]                  @ left
    cmp     last, #1
    bne     .Lpointwise_4x5_4x3_4_20_s0_0to192_more2
    movs    mask, #0
.Lpointwise_4x5_4x3_4_20_s0_0to192_more2:
    str     mask, [sp, #36]                  @ step
    ldr     from, [sp, #4]                   @ stream0
    ldr     to, [sp, #8]                     @ unpacked0
    ldr     last, [sp, #68]                  @ packed
    adds    last, last, from
    str     last, [sp, #28]                  @ tail
    ldr     mask, [sp, #52]                  @ mask0
.Lpointwise_4x5_4x3_4_20_s0_0to192_unpack3:
    ldmia   from!, {odd}
    mov     even, odd
    ands    even, mask
    add     even, centre
    lsrs    odd, odd, #8
    ands    odd, mask
    add     odd, centre
    adds    begin, even, odd
    lsls    begin, begin, #7
    rsbs    begin, begin, #0
    add     begin, start
    stmia   to!, {even, odd, begin}
    cmp     from, last
    bne     .Lpointwise_4x5_4x3_4_20_s0_0to192_unpack3
.unreq from
.unreq to
.unreq last
.unreq mask
.unreq even
.unreq odd
.unreq begin
.unreq centre
.unreq start
    @ 
    @ groups of 3 pixels
x .req r0
weights .req r1
last .req r2
first .req r3
second .req r4
start .req r5
total .req r6
value .req r7
whole0 .req r8
whole1 .req r9
whole2 .req r10
upper0 .req r11
upper1 .req r12
upper2 .req lr
    ldr     value, [sp, #40]                 @ places3
.Lpointwise_4x5_4x3_4_20_s0_0to192_places4:
    ldmia   value!, {x, weights}             @ bytes from tile and output
    str     value, [sp, #16]                 @ entry
    ldr     value, [sp, #0]                  @ tile0
    adds    x, x, value
    ldr     value, [sp, #12]                 @ out0
    adds    weights, weights, value
    str     weights, [sp, #24]               @ at_out
    ldr     weights, [sp, #28]               @ tail
    ldr     value, [weights, #0]
    mov     whole0, value
    mov     whole1, value
    mov     whole2, value
    ldr     value, [weights, #4]
    mov     upper0, value
    mov     upper1, value
    mov     upper2, value
    ldr     weights, [sp, #8]                @ unpacked0
    ldmia   weights!, {first, second, start}
    ldrb    total, [x, #0]
    muls    total, first, total
    ldrb    value, [x, #3]
    muls    value, second, value
    adds    total, total, value
    adds    total, total, start
    add     whole0, total
    lsrs    total, total, #16
    add     upper0, total
    ldrb    total, [x, #1]
    muls    total, first, total
    ldrb    value, [x, #4]
    muls    value, second, value
    adds    total, total, value
    adds    total, total, start
    add     whole1, total
    lsrs    total, total, #16
    add     upper1, total
    ldrb    total, [x, #2]
    muls    total, first, total
    ldrb    value, [x, #5]
    muls    value, second, value
    adds    total, total, value
    adds    total, total, start
    add     whole2, total
    lsrs    total, total, #16
    add     upper2, total
    ldmia   weights!, {first, second, start}
    ldrb    total, [x, #6]
    muls    total, first, total
    ldrb    value, [x, #9]
    muls    value, second, value
    adds    total, total, value
    adds    total, total, start
    add     whole0, total
    lsrs    total, total, #16
    add     upper0, total
    ldrb    total, [x, #7]
    muls    total, first, total
    ldrb    value, [x, #10]
    muls    value, second, value
    adds    total, total, value
    adds    total, total, start
    add     whole1, total
    lsrs    total, total, #16
    add     upper1, total
    ldrb    total, [x, #8]
    muls    total, first, total
    ldrb    value, [x, #11]
    muls    value, second, value
    adds    total, total, value
    adds    total, total, start
    add     whole2, total
    lsrs    total, total, #16
    add     upper2, total
.unreq x
.unreq weights
.unreq last
.unreq first
.unreq second
.unreq start
.unreq total
.unreq value
mlow .req r0
mhigh .req r1
half .req r2
total .req r3
low .req r4
part .req r5
cross .req r6
at .req r7
    ldr     half, [sp, #64]                  @ half0
    mov     total, upper0
    lsls    low, total, #16
    mov     total, whole0
    subs    total, total, low
    mov     whole0, total
    mov     total, upper1
    lsls    low, total, #16
    mov     total, whole1
    subs    total, total, low
    mov     whole1, total
    mov     total, upper2
    lsls    low, total, #16
    mov     total, whole2
    subs    total, total, low
    mov     whole2, total
    ldr     part, [sp, #28]                  @ tail
    ldr     mhigh, [part, #12]
    uxth    mlow, mhigh
    lsrs    mhigh, mhigh, #16
    ldr     at, [sp, #24]                    @ at_out
    ldr     part, [sp, #36]                  @ step
    adds    at, at, part
    mov     total, upper0
    uxth    low, total
    asrs    total, total, #16
    mov     part, low
    muls    part, mlow, part
    lsrs    part, part, #16
    muls    low, mhigh, low
    adds    low, low, part
    adds    low, low, half                   @ middle
    uxth    part, low
    lsrs    low, low, #16
    mov     cross, total
    muls    cross, mlow, cross
    adds    cross, cross, part
    asrs    cross, cross, #16
    muls    total, mhigh, total
    adds    total, total, low
    adds    total, total, cross
    sxtb    low, total
    cmp     low, total
    beq     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside5
    asrs    total, total, #31
    movs    low, #127
    eors    total, low
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside5:
    adds    total, #128                      @ the clamp, as immediates of eight bits
    cmp     total, #0
    bge     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside6
    movs    total, #0
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside6:
    cmp     total, #192
    ble     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside7
    movs    total, #192
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside7:
    subs    total, #128
    strb    total, [at, #0]
    mov     total, upper1
    uxth    low, total
    asrs    total, total, #16
    mov     part, low
    muls    part, mlow, part
    lsrs    part, part, #16
    muls    low, mhigh, low
    adds    low, low, part
    adds    low, low, half                   @ middle
    uxth    part, low
    lsrs    low, low, #16
    mov     cross, total
    muls    cross, mlow, cross
    adds    cross, cross, part
    asrs    cross, cross, #16
    muls    total, mhigh, total
    adds    total, total, low
    adds    total, total, cross
    sxtb    low, total
    cmp     low, total
    beq     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside8
    asrs    total, total, #31
    movs    low, #127
    eors    total, low
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside8:
    adds    total, #128                      @ the clamp, as immediates of eight bits
    cmp     total, #0
    bge     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside9
    movs    total, #0
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside9:
    cmp     total, #192
    ble     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside10
    movs    total, #192
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside10:
    subs    total, #128
    strb    total, [at, #1]
    mov     total, upper2
    uxth    low, total
    asrs    total, total, #16
    mov     part, low
    muls    part, mlow, part
    lsrs    part, part, #16
    muls    low, mhigh, low
    adds    low, low, part
    adds    low, low, half                   @ middle
    uxth    part, low
    lsrs    low, low, #16
    mov     cross, total
    muls    cross, mlow, cross
    adds    cross, cross, part
    asrs    cross, cross, #16
    muls    total, mhigh, total
    adds    total, total, low
    adds    total, total, cross
    sxtb    low, total
    cmp     low, total
    beq     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside11
    asrs    total, total, #31
    movs    low, #127
    eors    total, low
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside11:
    adds    total, #128                      @ the clamp, as immediates of eight bits
    cmp     total, #0
    bge     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside12
    movs    total, #0
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside12:
    cmp     total, #192
    ble     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside13
    movs    total, #192
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside13:
    subs    total, #128
    strb    total, [at, #2]
    ldr     part, [sp, #28]                  @ tail
    ldr     mhigh, [part, #8]
    uxth    mlow, mhigh
    lsrs    mhigh, mhigh, #16
    ldr     at, [sp, #24]                    @ at_out
    mov     total, whole0
    uxth    low, total
    asrs    total, total, #16
    mov     part, low
    muls    part, mlow, part
    lsrs    part, part, #16
    muls    low, mhigh, low
    adds    low, low, part
    adds    low, low, half                   @ middle
    uxth    part, low
    lsrs    low, low, #16
    mov     cross, total
    muls    cross, mlow, cross
    adds    cross, cross, part
    asrs    cross, cross, #16
    muls    total, mhigh, total
    adds    total, total, low
    adds    total, total, cross
    sxtb    low, total
    cmp     low, total
    beq     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside14
    asrs    total, total, #31
    movs    low, #127
    eors    total, low
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside14:
    adds    total, #128                      @ the clamp, as immediates of eight bits
    cmp     total, #0
    bge     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside15
    movs    total, #0
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside15:
    cmp     total, #192
    ble     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside16
    movs    total, #192
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside16:
    subs    total, #128
    strb    total, [at, #0]
    mov     total, whole1
    uxth    low, total
    asrs    total, total, #16
    mov     part, low
    muls    part, mlow, part
    lsrs    part, part, #16
    muls    low, mhigh, low
    adds    low, low, part
    adds    low, low, half                   @ middle
    uxth    part, low
    lsrs    low, low, #16
    mov     cross, total
    muls    cross, mlow, cross
    adds    cross, cross, part
    asrs    cross, cross, #16
    muls    total, mhigh, total
    adds    total, total, low
    adds    total, total, cross
    sxtb    low, total
    cmp     low, total
    beq     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside17
    asrs    total, total, #31
    movs    low, #127
    eors    total, low
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside17:
    adds    total, #128                      @ the clamp, as immediates of eight bits
    cmp     total, #0
    bge     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside18
    movs    total, #0
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside18:
    cmp     total, #192
    ble     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside19
    movs    total, #192
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside19:
    subs    total, #128
    strb    total, [at, #1]
    mov     total, whole2
    uxth    low, total
    asrs    total, total, #16
    mov     part, low
    muls    part, mlow, part
    lsrs    part, part, #16
    muls    low, mhigh, low
    adds    low, low, part
    adds    low, low, half                   @ middle
    uxth    part, low
    lsrs    low, low, #16
    mov     cross, total
    muls    cross, mlow, cross
    adds    cross, cross, part
    asrs    cross, cross, #16
    muls    total, mhigh, total
    adds    total, total, low
    adds    total, total, cross
    sxtb    low, total
    cmp     low, total
    beq     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside20
    asrs    total, total, #31
    movs    low, #127
    eors    total, low
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside20:
    adds    total, #128                      @ the clamp, as immediates of eight bits
    cmp     total, #0
    bge     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside21
    movs    total, #0
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside21:
    cmp     total, #192
    ble     .Lpointwise_4x5_4x3_4_20_s0_0to192_inside22
    movs    total, #192
.Lpointwise_4x5_4x3_4_20_s0_0to192_inside22:
    subs    total, #128
    strb    total, [at, #2]
.unreq mlow
.unreq mhigh
.unreq half
.unreq total
.unreq low
.unreq part
.unreq cross
.unreq at
entry_now .req r7
next .req r0
    ldr     entry_now, [sp, #16]             @ entry
    ldr     next, [entry_now]
    adds    next, #1
    beq     .Lpointwise_4x5_4x3_4_20_s0_0to192_ended23
    b       .Lpointwise_4x5_4x3_4_20_s0_0to192_places4
.Lpointwise_4x5_4x3_4_20_s0_0to192_ended23:
.unreq entry_now
.unreq next
.unreq whole0
.unreq whole1
.unreq whole2
.unreq upper0
.unreq upper1
.unreq upper2
n .req r0
s .req r1
o .req r2
    ldr     s, [sp, #28]                     @ tail
    adds    s, #16
    str     s, [sp, #4]                      @ stream0
    ldr     s, [sp, #76]                     @ plane
    ldr     o, [sp, #12]                     @ out0
    adds    o, o, s
    adds    o, o, s
    str     o, [sp, #12]                     @ out0
    ldr     n, [sp, #20]                     @ left
    subs    n, #1
    str     n, [sp, #20]                     @ left
    beq     .Lpointwise_4x5_4x3_4_20_s0_0to192_done24
    bl      .Lpointwise_4x5_4x3_4_20_s0_0to192_couple
.Lpointwise_4x5_4x3_4_20_s0_0to192_done24:
.unreq n
.unreq s
.unreq o
    movs    r0, #0
    add     sp, #80
    pop     {r4, r5, r6, r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r3, r4, r5, r6, r7, pc}
    .cfi_endproc
    .size   mbn_model_pointwise_4x5_4x3_4_20_s0_0to192, . - mbn_model_pointwise_4x5_4x3_4_20_s0_0to192
    .section .rodata.mbn_model_pointwise_4x5_4x3_4_20_s0_0to192, "a", %progbits
    .p2align 2
.Lpointwise_4x5_4x3_4_20_s0_0to192_table0:
    .word   0, 0, 12, 20, 24, 40, 36, 60
    .word   -1

#else
@ Pointwise of 4 x 3 pixels: 4 inputs, 5 output channels.
@
@ r0   tile (argument), left_now, n, from (packed weights), x (values of the tile), at (output of the second channel, then of the first)
@ r1   stream (argument), to_second, to (unpacked weights), weights (unpacked weights), from (what follows the weights), s
@ r2   unpacked (argument), last (end of the packed weights), start (2^31 + 2^15), low (of a product), o
@ r3   out (argument), mask (0x00ff00ff), first (W of a pair's first tap), m0 (2m)
@ r4   even (bytes 0 and 2, then W of the first tap), second (W of its second tap), m1 (2m)
@ r5   odd (bytes 1 and 3, then W of the second tap), t0 (a value, then S)
@ r6   bytes (two taps of both channels), t1 (a value, then S)
@ r7   t2 (a value, then S)
@ r8   whole0 (P of pixel 0)
@ r9   whole1 (P of pixel 1)
@ r10  whole2 (P of pixel 2)
@ r11  upper0 (B of pixel 0)
@ r12  upper1 (B of pixel 1)
@ lr   upper2 (B of pixel 2)
    .section .text.mbn_model_pointwise_4x5_4x3_4_20_s0_0to192, "ax", %progbits
    .global mbn_model_pointwise_4x5_4x3_4_20_s0_0to192
    .hidden mbn_model_pointwise_4x5_4x3_4_20_s0_0to192
    .type   mbn_model_pointwise_4x5_4x3_4_20_s0_0to192, %function
    .p2align 2
    .thumb_func
mbn_model_pointwise_4x5_4x3_4_20_s0_0to192:
    .cfi_startproc
    push    {r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}
    .cfi_def_cfa_offset 40
    .cfi_offset lr, -4
    .cfi_offset r11, -8
    .cfi_offset r10, -12
    .cfi_offset r9, -16
    .cfi_offset r8, -20
    .cfi_offset r7, -24
    .cfi_offset r6, -28
    .cfi_offset r5, -32
    .cfi_offset r4, -36
    .cfi_offset r3, -40
    sub     sp, #40
    .cfi_adjust_cfa_offset 40
tile .req r0
stream .req r1
unpacked .req r2
out .req r3
    strd    tile, stream, [sp]
    strd    unpacked, out, [sp, #8]
.unreq tile
.unreq stream
.unreq unpacked
.unreq out
left_now .req r0
    movw    left_now, #3
    str     left_now, [sp, #20]              @ left
.unreq left_now
.Lpointwise_4x5_4x3_4_20_s0_0to192_couple:
n .req r0
to_second .req r1
    ldr     n, [sp, #20]                     @ left
    movw    to_second, #4
    cmp     n, #1
    it      eq
    moveq   to_second, #0
    str     to_second, [sp, #36]             @ step
.unreq n
.unreq to_second
from .req r0
to .req r1
last .req r2
mask .req r3
even .req r4
odd .req r5
bytes .req r6
    ldr     from, [sp, #4]                   @ stream0
    ldr     to, [sp, #8]                     @ unpacked0
    addw    last, from, #8
    str     last, [sp, #28]                  @ tail
    mov     mask, #0x00ff00ff
.Lpointwise_4x5_4x3_4_20_s0_0to192_unpack1:
    ldr     bytes, [from], #4
    and     even, bytes, mask
    sub     even, even, #0x00800080
    and     odd, mask, bytes, lsr #8
    sub     odd, odd, #0x00800080
    strd    even, odd, [to], #8
    cmp     from, last
    bne.w   .Lpointwise_4x5_4x3_4_20_s0_0to192_unpack1
.unreq from
.unreq to
.unreq last
.unreq mask
.unreq even
.unreq odd
.unreq bytes
    @ 
    @ groups of 3 pixels
x .req r0
weights .req r1
start .req r2
first .req r3
second .req r4
t0 .req r5
t1 .req r6
t2 .req r7
whole0 .req r8
whole1 .req r9
whole2 .req r10
upper0 .req r11
upper1 .req r12
upper2 .req lr
    movw    t0, #:lower16:.Lpointwise_4x5_4x3_4_20_s0_0to192_table0
    movt    t0, #:upper16:.Lpointwise_4x5_4x3_4_20_s0_0to192_table0
.Lpointwise_4x5_4x3_4_20_s0_0to192_places2:
    ldr     x, [t0], #4                      @ bytes from tile and output
    ldr     t1, [t0], #4
    str     t0, [sp, #16]                    @ entry
    ldr     t0, [sp, #0]                     @ tile0
    ldr     t2, [sp, #12]                    @ out0
    ldr     weights, [sp, #28]               @ tail
    add     x, x, t0
    add     t1, t1, t2
    str     t1, [sp, #24]                    @ at_out
    ldr     whole0, [weights, #0]
    ldr     upper0, [weights, #4]
    ldr     weights, [sp, #8]                @ unpacked0
    mov     whole1, whole0
    mov     upper1, upper0
    mov     whole2, whole0
    mov     upper2, upper0
    movw    start, #32768
    movt    start, #32768
    ldr     first, [weights, #0]
    ldr     second, [weights, #4]
    ldrsb   t0, [x, #0]
    ldrsb   t1, [x, #3]
    ldrsb   t2, [x, #1]
    mla     t0, t0, first, start
    mla     t0, t1, second, t0
    add     whole0, whole0, t0
    add     upper0, upper0, t0, lsr #16
    mla     t2, t2, first, start
    ldrsb   t0, [x, #4]
    ldrsb   t1, [x, #2]
    mla     t2, t0, second, t2
    add     whole1, whole1, t2
    add     upper1, upper1, t2, lsr #16
    ldrsb   t0, [x, #5]
    mla     t1, t1, first, start
    mla     t1, t0, second, t1
    add     whole2, whole2, t1
    add     upper2, upper2, t1, lsr #16
    ldr     first, [weights, #8]
    ldr     second, [weights, #12]
    ldrsb   t0, [x, #6]
    ldrsb   t1, [x, #9]
    ldrsb   t2, [x, #7]
    mla     t0, t0, first, start
    mla     t0, t1, second, t0
    add     whole0, whole0, t0
    add     upper0, upper0, t0, lsr #16
    mla     t2, t2, first, start
    ldrsb   t0, [x, #10]
    ldrsb   t1, [x, #8]
    mla     t2, t0, second, t2
    add     whole1, whole1, t2
    add     upper1, upper1, t2, lsr #16
    ldrsb   t0, [x, #11]
    mla     t1, t1, first, start
    mla     t1, t0, second, t1
    add     whole2, whole2, t1
    add     upper2, upper2, t1, lsr #16
.unreq x
.unreq weights
.unreq start
.unreq first
.unreq second
at .req r0
from .req r1
m0 .req r3
m1 .req r4
low .req r2
    ldr     at, [sp, #24]                    @ at_out
    ldr     from, [sp, #28]                  @ tail
    ldr     m0, [from, #8]
    ldr     m1, [from, #12]
    ldr     low, [sp, #36]                   @ step
    add     at, at, low
    sub     whole0, whole0, upper0, lsl #16
    sub     whole1, whole1, upper1, lsl #16
    sub     whole2, whole2, upper2, lsl #16
    smull   low, upper0, upper0, m1
    add     upper0, upper0, low, lsr #31
    ssat    upper0, #8, upper0
    cmp     upper0, #64
    it      gt
    movgt   upper0, #64
    strb    upper0, [at, #0]
    smull   low, upper1, upper1, m1
    add     upper1, upper1, low, lsr #31
    ssat    upper1, #8, upper1
    cmp     upper1, #64
    it      gt
    movgt   upper1, #64
    strb    upper1, [at, #1]
    smull   low, upper2, upper2, m1
    add     upper2, upper2, low, lsr #31
    ssat    upper2, #8, upper2
    cmp     upper2, #64
    it      gt
    movgt   upper2, #64
    strb    upper2, [at, #2]
    ldr     low, [sp, #36]                   @ step
    sub     at, at, low
    smull   low, whole0, whole0, m0
    add     whole0, whole0, low, lsr #31
    ssat    whole0, #8, whole0
    cmp     whole0, #64
    it      gt
    movgt   whole0, #64
    strb    whole0, [at, #0]
    smull   low, whole1, whole1, m0
    add     whole1, whole1, low, lsr #31
    ssat    whole1, #8, whole1
    cmp     whole1, #64
    it      gt
    movgt   whole1, #64
    strb    whole1, [at, #1]
    smull   low, whole2, whole2, m0
    add     whole2, whole2, low, lsr #31
    ssat    whole2, #8, whole2
    cmp     whole2, #64
    it      gt
    movgt   whole2, #64
    strb    whole2, [at, #2]
.unreq at
.unreq from
.unreq m0
.unreq m1
.unreq low
    ldr     t0, [sp, #16]                    @ entry
    ldr     t1, [t0]
    cmn     t1, #1
.unreq whole0
.unreq whole1
.unreq whole2
.unreq upper0
.unreq upper1
.unreq upper2
.unreq t0
.unreq t1
.unreq t2
    bne.w   .Lpointwise_4x5_4x3_4_20_s0_0to192_places2
n .req r0
s .req r1
o .req r2
    ldr     s, [sp, #28]                     @ tail
    ldr     o, [sp, #12]                     @ out0
    ldr     n, [sp, #20]                     @ left
    add     s, s, #16
    str     s, [sp, #4]                      @ stream0
    addw    o, o, #8
    str     o, [sp, #12]                     @ out0
    subs    n, n, #1
    str     n, [sp, #20]                     @ left
    bne.w   .Lpointwise_4x5_4x3_4_20_s0_0to192_couple
.unreq n
.unreq s
.unreq o
    movs    r0, #0
    add     sp, #40
    pop     {r3, r4, r5, r6, r7, r8, r9, r10, r11, pc}
    .cfi_endproc
    .size   mbn_model_pointwise_4x5_4x3_4_20_s0_0to192, . - mbn_model_pointwise_4x5_4x3_4_20_s0_0to192
    .section .rodata.mbn_model_pointwise_4x5_4x3_4_20_s0_0to192, "a", %progbits
    .p2align 2
.Lpointwise_4x5_4x3_4_20_s0_0to192_table0:
    .word   0, 0, 12, 20, 24, 40, 36, 60
    .word   -1

#endif
#endif
