/* The RP2350's image definition: without it in the first 4 KB the boot ROM takes a flash for empty.
 *
 * It is one block after the vector table that says: executable, Arm, secure, this chip. The block
 * links to itself, so it is the whole loop.
 * "Minimum Arm IMAGE_DEF", RP2350 datasheet.
 */
#include <stdint.h>

__attribute__((section(".mbn_image"), used)) static const uint32_t image_def[5] = {
    0xFFFFDED3u, /* start of a block */
    0x10210142u, /* image type, one word: executable, secure, Arm, RP2350 */
    0x000001FFu, /* last item: one word of items before it */
    0x00000000u, /* to the next block: itself */
    0xAB123579u, /* end of a block */
};
