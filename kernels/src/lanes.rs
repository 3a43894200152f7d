//! Four f32 or four i32 side by side.
//!
//! On wasm with simd128 these are a `v128`; elsewhere they are arrays. Each operation is one correctly rounded IEEE
//! operation per lane, so both give the same bits.

// Some operations are only for the kernels of builds with relaxed SIMD.
#![cfg_attr(not(target_feature = "relaxed-simd"), allow(dead_code))]

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod imp {
    use core::arch::wasm32::*;

    /// Four f32.
    #[derive(Clone, Copy)]
    pub struct F4(pub v128);

    /// Four i32.
    #[derive(Clone, Copy)]
    pub struct I4(pub v128);

    /// Eight i16.
    #[derive(Clone, Copy)]
    pub struct H8(pub v128);

    /// Sixteen bytes.
    #[derive(Clone, Copy)]
    pub struct B16(pub v128);

    impl H8 {
        #[inline(always)]
        pub fn splat(n: i16) -> H8 {
            H8(i16x8_splat(n))
        }

        /// Two values, four times.
        #[inline(always)]
        pub fn splat_two(two: &[i16; 2]) -> H8 {
            // SAFETY: the reference is to 4 readable bytes, and v128.load32_splat has no alignment requirement.
            H8(unsafe { v128_load32_splat(two.as_ptr().cast()) })
        }

        #[inline(always)]
        pub fn load(from: &[i16; 8]) -> H8 {
            // SAFETY: the reference is to 16 readable bytes, and v128.load has no alignment requirement.
            H8(unsafe { v128_load(from.as_ptr().cast()) })
        }

        #[inline(always)]
        pub fn store(self, to: &mut [i16; 8]) {
            // SAFETY: the reference is to 16 writable bytes, and v128.store has no alignment requirement.
            unsafe { v128_store(to.as_mut_ptr().cast(), self.0) }
        }

        #[inline(always)]
        pub fn sub(self, b: H8) -> H8 {
            H8(i16x8_sub(self.0, b.0))
        }

        /// The low 16 bits of each product.
        #[inline(always)]
        pub fn mul(self, b: H8) -> H8 {
            H8(i16x8_mul(self.0, b.0))
        }

        /// Products, and the sums of each two.
        #[inline(always)]
        pub fn dot(self, b: H8) -> I4 {
            I4(i32x4_dot_i16x8(self.0, b.0))
        }
    }

    impl B16 {
        #[inline(always)]
        pub fn load(from: &[u8; 16]) -> B16 {
            // SAFETY: the reference is to 16 readable bytes, and v128.load has no alignment requirement.
            B16(unsafe { v128_load(from.as_ptr().cast()) })
        }

        #[inline(always)]
        pub fn and(self, mask: u8) -> B16 {
            B16(v128_and(self.0, u8x16_splat(mask)))
        }

        /// Each two bytes shifted to the right as one number: bits come in from the neighbour, to be masked.
        #[inline(always)]
        pub fn shift_right(self, by: u32) -> B16 {
            B16(u16x8_shr(self.0, by))
        }

        /// As `shift_right`, to the left.
        #[inline(always)]
        pub fn shift_left(self, by: u32) -> B16 {
            B16(u16x8_shl(self.0, by))
        }

        #[inline(always)]
        pub fn or(self, b: B16) -> B16 {
            B16(v128_or(self.0, b.0))
        }

        /// Signed bytes in 16 bits: of each four the first two, and the last two.
        #[inline(always)]
        pub fn pairs(self) -> [H8; 2] {
            let (low, high) = (i16x8_extend_low_i8x16(self.0), i16x8_extend_high_i8x16(self.0));
            [H8(i32x4_shuffle::<0, 2, 4, 6>(low, high)), H8(i32x4_shuffle::<1, 3, 5, 7>(low, high))]
        }
    }

    impl F4 {
        #[inline(always)]
        pub fn splat(x: f32) -> F4 {
            F4(f32x4_splat(x))
        }

        #[inline(always)]
        pub fn load(from: &[f32; 4]) -> F4 {
            // SAFETY: the reference is to 16 readable bytes, and v128.load has no alignment requirement.
            F4(unsafe { v128_load(from.as_ptr().cast()) })
        }

        #[inline(always)]
        pub fn store(self, to: &mut [f32; 4]) {
            // SAFETY: the reference is to 16 writable bytes, and v128.store has no alignment requirement.
            unsafe { v128_store(to.as_mut_ptr().cast(), self.0) }
        }

        #[inline(always)]
        pub fn add(self, b: F4) -> F4 {
            F4(f32x4_add(self.0, b.0))
        }

        #[inline(always)]
        pub fn sub(self, b: F4) -> F4 {
            F4(f32x4_sub(self.0, b.0))
        }

        #[inline(always)]
        pub fn mul(self, b: F4) -> F4 {
            F4(f32x4_mul(self.0, b.0))
        }

        #[inline(always)]
        pub fn div(self, b: F4) -> F4 {
            F4(f32x4_div(self.0, b.0))
        }

        /// b < self ? b : self. A NaN in `self` stays. Not by `f32x4_pmin`, which the compiler turns into a relaxed
        /// minimum where it may.
        #[inline(always)]
        pub fn min(self, b: F4) -> F4 {
            b.select_lt(self, b, self)
        }

        /// self < b ? b : self. A NaN in `self` stays. Not by `f32x4_pmax`, for the same reason.
        #[inline(always)]
        pub fn max(self, b: F4) -> F4 {
            self.select_lt(b, b, self)
        }

        #[inline(always)]
        pub fn abs(self) -> F4 {
            F4(f32x4_abs(self.0))
        }

        /// Lane by lane: `self < b ? yes : no`.
        #[inline(always)]
        pub fn select_lt(self, b: F4, yes: F4, no: F4) -> F4 {
            F4(v128_bitselect(yes.0, no.0, f32x4_lt(self.0, b.0)))
        }

        /// Four f16, given by their bits, widened exactly. Infinities and NaN are not handled: no packed weight holds one.
        #[inline(always)]
        pub fn from_f16(h: &[u16; 4]) -> F4 {
            // SAFETY: the reference is to 8 readable bytes, and the load has no alignment requirement.
            let wide = unsafe { i32x4_load_extend_i16x4(h.as_ptr().cast()) };
            // The copies of the sign that widening made go, but for the one that is at its place now.
            let moved = v128_and(i32x4_shl(wide, 13), u32x4_splat(0x8fff_e000));
            F4(f32x4_mul(moved, f32x4_splat(f32::from_bits(0x7780_0000))))
        }

        /// Four bf16, given by their bits, widened exactly.
        #[inline(always)]
        pub fn from_bf16(h: &[u16; 4]) -> F4 {
            // SAFETY: the reference is to 8 readable bytes, and v128.load64_zero has no alignment requirement.
            F4(u32x4_shl(u32x4_extend_low_u16x8(unsafe { v128_load64_zero(h.as_ptr().cast()) }), 16))
        }
    }

    impl I4 {
        #[inline(always)]
        pub fn splat(n: i32) -> I4 {
            I4(i32x4_splat(n))
        }

        /// The bits of four f32.
        #[inline(always)]
        pub fn from_bits(x: F4) -> I4 {
            I4(x.0)
        }

        /// Sixteen values as signed bytes, saturated.
        #[inline(always)]
        pub fn to_bytes([a, b, c, d]: [I4; 4]) -> [i8; 16] {
            let bytes = i8x16_narrow_i16x8(i16x8_narrow_i32x4(a.0, b.0), i16x8_narrow_i32x4(c.0, d.0));
            let mut out = [0; 16];
            // SAFETY: the reference is to 16 writable bytes, and v128.store has no alignment requirement.
            unsafe { v128_store(out.as_mut_ptr().cast(), bytes) };
            out
        }

        /// Each of the low 16 bits twice.
        #[inline(always)]
        pub fn pairs(self) -> H8 {
            H8(v128_or(v128_and(self.0, u32x4_splat(0xffff)), i32x4_shl(self.0, 16)))
        }

        /// Four signed bytes.
        #[inline(always)]
        pub fn from_i8(bytes: &[i8; 4]) -> I4 {
            let four = i32x4_splat(i32::from_le_bytes(bytes.map(|b| b as u8)));
            I4(i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(four)))
        }

        /// Four unsigned bytes.
        #[inline(always)]
        pub fn from_u8(bytes: &[u8; 4]) -> I4 {
            let four = i32x4_splat(i32::from_le_bytes(*bytes));
            I4(u32x4_extend_low_u16x8(u16x8_extend_low_u8x16(four)))
        }

        #[inline(always)]
        pub fn add(self, b: I4) -> I4 {
            I4(i32x4_add(self.0, b.0))
        }

        #[inline(always)]
        pub fn mul(self, b: I4) -> I4 {
            I4(i32x4_mul(self.0, b.0))
        }

        #[inline(always)]
        pub fn to_f4(self) -> F4 {
            F4(f32x4_convert_i32x4(self.0))
        }

        /// 2ⁿ, for n in −126 ..= 127.
        #[inline(always)]
        pub fn exp2(self) -> F4 {
            F4(i32x4_shl(i32x4_add(self.0, i32x4_splat(127)), 23))
        }

        #[inline(always)]
        pub fn sub(self, b: I4) -> I4 {
            I4(i32x4_sub(self.0, b.0))
        }

        /// n / 2, rounded down.
        #[inline(always)]
        pub fn half(self) -> I4 {
            I4(i32x4_shr(self.0, 1))
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod imp {
    /// Four f32.
    #[derive(Clone, Copy)]
    #[repr(align(16))]
    pub struct F4(pub [f32; 4]);

    /// Four i32.
    #[derive(Clone, Copy)]
    #[repr(align(16))]
    pub struct I4(pub [i32; 4]);

    /// Eight i16.
    #[derive(Clone, Copy)]
    #[repr(align(16))]
    pub struct H8(pub [i16; 8]);

    /// Sixteen bytes.
    #[derive(Clone, Copy)]
    #[repr(align(16))]
    pub struct B16(pub [u8; 16]);

    impl H8 {
        #[inline(always)]
        pub fn splat(n: i16) -> H8 {
            H8([n; 8])
        }

        /// Two values, four times.
        #[inline(always)]
        pub fn splat_two(two: &[i16; 2]) -> H8 {
            H8(core::array::from_fn(|i| two[i % 2]))
        }

        #[inline(always)]
        pub fn load(from: &[i16; 8]) -> H8 {
            H8(*from)
        }

        #[inline(always)]
        pub fn store(self, to: &mut [i16; 8]) {
            *to = self.0;
        }

        #[inline(always)]
        pub fn sub(self, b: H8) -> H8 {
            H8(core::array::from_fn(|i| self.0[i].wrapping_sub(b.0[i])))
        }

        /// The low 16 bits of each product.
        #[inline(always)]
        pub fn mul(self, b: H8) -> H8 {
            H8(core::array::from_fn(|i| self.0[i].wrapping_mul(b.0[i])))
        }

        /// Products, and the sums of each two.
        #[inline(always)]
        pub fn dot(self, b: H8) -> I4 {
            let product = |i: usize| i32::from(self.0[i]) * i32::from(b.0[i]);
            I4(core::array::from_fn(|i| product(2 * i).wrapping_add(product(2 * i + 1))))
        }
    }

    impl B16 {
        #[inline(always)]
        pub fn load(from: &[u8; 16]) -> B16 {
            B16(*from)
        }

        #[inline(always)]
        fn map_words(self, f: impl Fn(u16) -> u16) -> B16 {
            let word = |i: usize| f(u16::from_le_bytes([self.0[i / 2 * 2], self.0[i / 2 * 2 + 1]]));
            B16(core::array::from_fn(|i| word(i).to_le_bytes()[i % 2]))
        }

        #[inline(always)]
        pub fn and(self, mask: u8) -> B16 {
            B16(self.0.map(|byte| byte & mask))
        }

        /// Each two bytes shifted to the right as one number: bits come in from the neighbour, to be masked.
        #[inline(always)]
        pub fn shift_right(self, by: u32) -> B16 {
            self.map_words(|word| word >> by)
        }

        /// As `shift_right`, to the left.
        #[inline(always)]
        pub fn shift_left(self, by: u32) -> B16 {
            self.map_words(|word| word << by)
        }

        #[inline(always)]
        pub fn or(self, b: B16) -> B16 {
            B16(core::array::from_fn(|i| self.0[i] | b.0[i]))
        }

        /// Signed bytes in 16 bits: of each four the first two, and the last two.
        #[inline(always)]
        pub fn pairs(self) -> [H8; 2] {
            [0, 2].map(|at| H8(core::array::from_fn(|i| i16::from(self.0[i / 2 * 4 + i % 2 + at] as i8))))
        }
    }

    impl F4 {
        #[inline(always)]
        fn map2(self, b: F4, f: impl Fn(f32, f32) -> f32) -> F4 {
            F4([f(self.0[0], b.0[0]), f(self.0[1], b.0[1]), f(self.0[2], b.0[2]), f(self.0[3], b.0[3])])
        }

        #[inline(always)]
        pub fn splat(x: f32) -> F4 {
            F4([x; 4])
        }

        #[inline(always)]
        pub fn load(from: &[f32; 4]) -> F4 {
            F4(*from)
        }

        #[inline(always)]
        pub fn store(self, to: &mut [f32; 4]) {
            *to = self.0;
        }

        #[inline(always)]
        pub fn add(self, b: F4) -> F4 {
            self.map2(b, |a, b| a + b)
        }

        #[inline(always)]
        pub fn sub(self, b: F4) -> F4 {
            self.map2(b, |a, b| a - b)
        }

        #[inline(always)]
        pub fn mul(self, b: F4) -> F4 {
            self.map2(b, |a, b| a * b)
        }

        #[inline(always)]
        pub fn div(self, b: F4) -> F4 {
            self.map2(b, |a, b| a / b)
        }

        /// b < self ? b : self. A NaN in `self` stays.
        #[inline(always)]
        pub fn min(self, b: F4) -> F4 {
            self.map2(b, |a, b| if b < a { b } else { a })
        }

        /// self < b ? b : self. A NaN in `self` stays.
        #[inline(always)]
        pub fn max(self, b: F4) -> F4 {
            self.map2(b, |a, b| if a < b { b } else { a })
        }

        #[inline(always)]
        pub fn abs(self) -> F4 {
            F4(self.0.map(f32::abs))
        }

        /// Lane by lane: `self < b ? yes : no`.
        #[inline(always)]
        pub fn select_lt(self, b: F4, yes: F4, no: F4) -> F4 {
            F4(core::array::from_fn(|i| if self.0[i] < b.0[i] { yes.0[i] } else { no.0[i] }))
        }

        /// Four f16, given by their bits, widened exactly. Infinities and NaN are not handled: no packed weight holds one.
        #[inline(always)]
        pub fn from_f16(h: &[u16; 4]) -> F4 {
            F4(h.map(|h| {
                let magnitude = f32::from_bits(u32::from(h & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
                f32::from_bits(magnitude.to_bits() | u32::from(h & 0x8000) << 16)
            }))
        }

        /// Four bf16, given by their bits, widened exactly.
        #[inline(always)]
        pub fn from_bf16(h: &[u16; 4]) -> F4 {
            F4(h.map(|h| f32::from_bits(u32::from(h) << 16)))
        }
    }

    impl I4 {
        #[inline(always)]
        pub fn splat(n: i32) -> I4 {
            I4([n; 4])
        }

        /// The bits of four f32.
        #[inline(always)]
        pub fn from_bits(x: F4) -> I4 {
            I4(x.0.map(|x| x.to_bits() as i32))
        }

        /// Sixteen values as signed bytes, saturated.
        #[inline(always)]
        pub fn to_bytes(fours: [I4; 4]) -> [i8; 16] {
            core::array::from_fn(|i| fours[i / 4].0[i % 4].clamp(-128, 127) as i8)
        }

        /// Each of the low 16 bits twice.
        #[inline(always)]
        pub fn pairs(self) -> H8 {
            H8(core::array::from_fn(|i| self.0[i / 2] as i16))
        }

        /// Four signed bytes.
        #[inline(always)]
        pub fn from_i8(bytes: &[i8; 4]) -> I4 {
            I4(bytes.map(i32::from))
        }

        /// Four unsigned bytes.
        #[inline(always)]
        pub fn from_u8(bytes: &[u8; 4]) -> I4 {
            I4(bytes.map(i32::from))
        }

        #[inline(always)]
        pub fn add(self, b: I4) -> I4 {
            I4(core::array::from_fn(|i| self.0[i].wrapping_add(b.0[i])))
        }

        #[inline(always)]
        pub fn mul(self, b: I4) -> I4 {
            I4(core::array::from_fn(|i| self.0[i].wrapping_mul(b.0[i])))
        }

        #[inline(always)]
        pub fn to_f4(self) -> F4 {
            F4(self.0.map(|n| n as f32))
        }

        /// 2ⁿ, for n in −126 ..= 127.
        #[inline(always)]
        pub fn exp2(self) -> F4 {
            F4(self.0.map(|n| f32::from_bits(((n.wrapping_add(127)) as u32) << 23)))
        }

        #[inline(always)]
        pub fn sub(self, b: I4) -> I4 {
            I4(core::array::from_fn(|i| self.0[i].wrapping_sub(b.0[i])))
        }

        /// n / 2, rounded down.
        #[inline(always)]
        pub fn half(self) -> I4 {
            I4(self.0.map(|n| n >> 1))
        }
    }
}

pub use imp::{B16, F4, H8, I4};

impl F4 {
    /// Up to four values, the missing ones 0.
    #[inline(always)]
    pub fn load_part(from: &[f32]) -> F4 {
        let mut four = [0.0; 4];
        four[..from.len()].copy_from_slice(from);
        F4::load(&four)
    }

    /// The first `to.len()` lanes, at most four.
    #[inline(always)]
    pub fn store_part(self, to: &mut [f32]) {
        let n = to.len();
        to.copy_from_slice(&self.to_array()[..n]);
    }

    /// The four lanes.
    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        let mut four = [0.0; 4];
        self.store(&mut four);
        four
    }

    /// (l0 + l2) + (l1 + l3).
    #[inline(always)]
    pub fn sum(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        (a + c) + (b + d)
    }
}

/// Applies `f` to every four values of `xs` in place; a last group of fewer is padded with zeros and cut again.
#[inline(always)]
pub fn map_in_place(xs: &mut [f32], f: impl Fn(F4) -> F4) {
    let (fours, rest) = xs.as_chunks_mut::<4>();
    for four in fours {
        f(F4::load(four)).store(four);
    }
    if !rest.is_empty() {
        f(F4::load_part(rest)).store_part(rest);
    }
}

/// Applies `f` to every four values of `xs` and the `ys` beside them, the result into `xs`. Lengths must agree.
#[inline(always)]
pub fn zip_in_place(xs: &mut [f32], ys: &[f32], f: impl Fn(F4, F4) -> F4) {
    let (x_fours, x_rest) = xs.as_chunks_mut::<4>();
    let (y_fours, y_rest) = ys.as_chunks::<4>();
    for (x, y) in x_fours.iter_mut().zip(y_fours) {
        f(F4::load(x), F4::load(y)).store(x);
    }
    if !x_rest.is_empty() && x_rest.len() == y_rest.len() {
        f(F4::load_part(x_rest), F4::load_part(y_rest)).store_part(x_rest);
    }
}
