//! The loop over the blocks of a whole tile of `matrix`, in assembly: 8 rows by 6 vectors take all 32 registers (12 of
//! sums, 12 of dot products, 4 of weights, 3 of vectors, one between), and of intrinsics the compiler makes moves and
//! spills, 20 % more instructions. A block takes 48 `smmla`, 48 instructions that clear, convert, scale and add, and 12
//! that load and count.
//!
//! | registers | in the products | in the scaling |
//! |---|---|---|
//! | v0 … v3 | weights of four pairs of rows | their scales, or minima |
//! | v4 … v6 | three pairs of vectors | their scales, or scaled sums |
//! | v7 | | products of scales |
//! | v8 … v19 | sums, row by row | |
//! | v20 … v31 | dot products, row by row | as floats; then free for products of scales |

use std::arch::aarch64::*;
use std::arch::asm;

/// Zeros in a register. On most cores the form for two lanes of 64 bits costs nothing; Apple's assembler does not take it,
/// for the sake of one early core, and warns.
macro_rules! clear {
    ($register:literal) => {
        if_apple!(concat!("movi ", $register, ".16b, #0\n"), concat!("movi ", $register, ".2d, #0\n"))
    };
}

#[cfg(target_vendor = "apple")]
macro_rules! if_apple {
    ($there:expr, $elsewhere:expr) => {
        $there
    };
}
#[cfg(not(target_vendor = "apple"))]
macro_rules! if_apple {
    ($there:expr, $elsewhere:expr) => {
        $elsewhere
    };
}

/// Four groups of columns of a block.
macro_rules! products {
    () => {
        concat!(
            // Clearing.
            clear!("v20"),
            clear!("v21"),
            clear!("v22"),
            clear!("v23"),
            clear!("v24"),
            clear!("v25"),
            clear!("v26"),
            clear!("v27"),
            clear!("v28"),
            clear!("v29"),
            clear!("v30"),
            clear!("v31"),
            group!(),
            group!(),
            group!(),
            group!(),
        )
    };
}

/// Eight columns.
macro_rules! group {
    () => {
        concat!(
            "ld1 {{v0.16b, v1.16b, v2.16b, v3.16b}}, [{panel}], #64\n",
            "ld1 {{v4.16b, v5.16b, v6.16b}}, [{pairs}], #48\n",
            "smmla v20.4s, v0.16b, v4.16b\n",
            "smmla v21.4s, v0.16b, v5.16b\n",
            "smmla v22.4s, v0.16b, v6.16b\n",
            "smmla v23.4s, v1.16b, v4.16b\n",
            "smmla v24.4s, v1.16b, v5.16b\n",
            "smmla v25.4s, v1.16b, v6.16b\n",
            "smmla v26.4s, v2.16b, v4.16b\n",
            "smmla v27.4s, v2.16b, v5.16b\n",
            "smmla v28.4s, v2.16b, v6.16b\n",
            "smmla v29.4s, v3.16b, v4.16b\n",
            "smmla v30.4s, v3.16b, v5.16b\n",
            "smmla v31.4s, v3.16b, v6.16b\n",
        )
    };
}

/// Scales of rows or minima, and of vectors or their sums.
macro_rules! factors {
    () => {
        concat!(
            "ld1 {{v0.4s, v1.4s, v2.4s, v3.4s}}, [{panel}], #64\n",
            "ld1 {{v4.4s, v5.4s, v6.4s}}, [{pairs}], #48\n",
        )
    };
}

/// `sums += dots · (row scale · vector scale)`. Registers are taken again as late as possible.
macro_rules! scale {
    () => {
        concat!(
            factors!(),
            "scvtf v20.4s, v20.4s\n",
            "scvtf v21.4s, v21.4s\n",
            "scvtf v22.4s, v22.4s\n",
            "scvtf v23.4s, v23.4s\n",
            "scvtf v24.4s, v24.4s\n",
            "scvtf v25.4s, v25.4s\n",
            "scvtf v26.4s, v26.4s\n",
            "scvtf v27.4s, v27.4s\n",
            "scvtf v28.4s, v28.4s\n",
            "scvtf v29.4s, v29.4s\n",
            "scvtf v30.4s, v30.4s\n",
            "scvtf v31.4s, v31.4s\n",
            "fmul v7.4s, v0.4s, v4.4s\n",
            "fmla v8.4s, v7.4s, v20.4s\n",
            "fmul v7.4s, v0.4s, v5.4s\n",
            "fmul v20.4s, v0.4s, v6.4s\n",
            "fmla v9.4s, v7.4s, v21.4s\n",
            "fmla v10.4s, v20.4s, v22.4s\n",
            "fmul v7.4s, v1.4s, v4.4s\n",
            "fmul v20.4s, v1.4s, v5.4s\n",
            "fmul v21.4s, v1.4s, v6.4s\n",
            "fmul v22.4s, v2.4s, v4.4s\n",
            "fmla v11.4s, v7.4s, v23.4s\n",
            "fmla v12.4s, v20.4s, v24.4s\n",
            "fmla v13.4s, v21.4s, v25.4s\n",
            "fmla v14.4s, v22.4s, v26.4s\n",
            "fmul v7.4s, v2.4s, v5.4s\n",
            "fmul v20.4s, v2.4s, v6.4s\n",
            "fmul v21.4s, v3.4s, v4.4s\n",
            "fmul v22.4s, v3.4s, v5.4s\n",
            "fmul v23.4s, v3.4s, v6.4s\n",
            "fmla v15.4s, v7.4s, v27.4s\n",
            "fmla v16.4s, v20.4s, v28.4s\n",
            "fmla v17.4s, v21.4s, v29.4s\n",
            "fmla v18.4s, v22.4s, v30.4s\n",
            "fmla v19.4s, v23.4s, v31.4s\n",
        )
    };
}

/// `sums += minimum · scaled sum`.
macro_rules! minima {
    () => {
        concat!(
            factors!(),
            "fmla v8.4s, v0.4s, v4.4s\n",
            "fmla v9.4s, v0.4s, v5.4s\n",
            "fmla v10.4s, v0.4s, v6.4s\n",
            "fmla v11.4s, v1.4s, v4.4s\n",
            "fmla v12.4s, v1.4s, v5.4s\n",
            "fmla v13.4s, v1.4s, v6.4s\n",
            "fmla v14.4s, v2.4s, v4.4s\n",
            "fmla v15.4s, v2.4s, v5.4s\n",
            "fmla v16.4s, v2.4s, v6.4s\n",
            "fmla v17.4s, v3.4s, v4.4s\n",
            "fmla v18.4s, v3.4s, v5.4s\n",
            "fmla v19.4s, v3.4s, v6.4s\n",
        )
    };
}

/// Runs the loop with the given end of a block.
macro_rules! whole {
    ($panel:ident, $pairs:ident, $blocks:ident, $minima:expr) => {{
        let s: [float32x4_t; 12];
        let (s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11);
        asm!(
            ".arch_extension i8mm",
            clear!("v8"),
            clear!("v9"),
            clear!("v10"),
            clear!("v11"),
            clear!("v12"),
            clear!("v13"),
            clear!("v14"),
            clear!("v15"),
            clear!("v16"),
            clear!("v17"),
            clear!("v18"),
            clear!("v19"),
            "cbz {blocks}, 3f",
            "2:",
            products!(),
            scale!(),
            $minima,
            "subs {blocks}, {blocks}, #1",
            "b.ne 2b",
            "3:",
            panel = inout(reg) $panel => _,
            pairs = inout(reg) $pairs => _,
            blocks = inout(reg) $blocks => _,
            out("v8") s0,
            out("v9") s1,
            out("v10") s2,
            out("v11") s3,
            out("v12") s4,
            out("v13") s5,
            out("v14") s6,
            out("v15") s7,
            out("v16") s8,
            out("v17") s9,
            out("v18") s10,
            out("v19") s11,
            out("v0") _,
            out("v1") _,
            out("v2") _,
            out("v3") _,
            out("v4") _,
            out("v5") _,
            out("v6") _,
            out("v7") _,
            out("v20") _,
            out("v21") _,
            out("v22") _,
            out("v23") _,
            out("v24") _,
            out("v25") _,
            out("v26") _,
            out("v27") _,
            out("v28") _,
            out("v29") _,
            out("v30") _,
            out("v31") _,
            options(readonly, nostack)
        );
        s = [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11];
        let [a, b, c, d] = [0, 3, 6, 9].map(|row| [s[row], s[row + 1], s[row + 2]]);
        [a, b, c, d]
    }};
}

/// Sums of four pairs of rows by three pairs of vectors over all blocks.
///
/// # Safety
/// The machine has `smmla`; `panel` and `pairs` point to `blocks` blocks of `matrix`'s layouts, with minima for `MINS`.
pub(super) unsafe fn sums<const MINS: bool>(
    panel: *const u8,
    pairs: *const u8,
    blocks: usize,
) -> [[float32x4_t; 3]; 4] {
    // SAFETY: reads what the contract says that there is; registers are named.
    unsafe { if MINS { whole!(panel, pairs, blocks, minima!()) } else { whole!(panel, pairs, blocks, "") } }
}
