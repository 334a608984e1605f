// Rows to bytes: q = round(t / scale) with t = row - shift and scale = max|t| / largest, stored as
// q + largest + 1, and what the rounding lost.
//
// Two passes over a row that sits in the first-level cache; about a dozen instructions for sixteen
// elements, to be set against one multiply-add instruction per center and 64 elements later.

// Any real bound on float32 sums of non-negative terms in lanes: each addition loses half an ulp.
static inline float rounded_up(float a, std::size_t terms) {
    return a * (1.0f + static_cast<float>(terms + 8) * 1.2e-7f);
}

// row, shift: IN [dimensions]
// shifted: scratch [dimensions rounded up to V::lanes]
// quantized: OUT [dimensions rounded up to V::lanes], q = 0 in the padding
// scale: OUT, t is about scale * q; 0 for t = 0
// squares: OUT, |t|^2 as float32 sums gave it
// norm, error: OUT, upper bounds of |t| and of |t - scale * q|
template <class V>
static void quantize_row(const float* row, const float* shift, std::size_t dimensions,
                         float* shifted, std::uint8_t* quantized, float* scale, float* squares,
                         float* norm, float* error) {
    using Register = typename V::Register;
    const std::size_t whole = dimensions / V::lanes * V::lanes;
    const std::size_t padded = round_up(dimensions, V::lanes);
    Register largest = V::broadcast(0.0f), sum = V::broadcast(0.0f);
    for (std::size_t j = 0; j < padded; j += V::lanes) {
        const Register value = j < whole ? V::subtract(V::load(row + j), V::load(shift + j))
                                         : V::subtract(V::load_part(row + j, dimensions - j),
                                                       V::load_part(shift + j, dimensions - j));
        V::store(shifted + j, value);
        largest = V::maximum(largest, V::absolute(value));
        sum = V::multiply_add(value, value, sum);
    }
    const float most = V::reduce_maximum(largest);
    *squares = V::reduce_add(sum);
    // Squares of the tiniest values vanish: no more than this of each.
    const float vanished = static_cast<float>(padded) * 1.2e-38f;
    *norm = rounded_up(__builtin_sqrtf(*squares + vanished), padded);
    *scale = most / static_cast<float>(V::largest_byte);
    // A scale so small that its inverse overflows quantises to zeros: all of t is then lost.
    const float inverse = *scale > 1e-30f ? 1.0f / *scale : 0.0f;
    if (inverse == 0.0f) *scale = 0.0f;
    const Register factor = V::broadcast(inverse), back = V::broadcast(-*scale);
    Register lost = V::broadcast(0.0f);
    for (std::size_t j = 0; j < padded; j += V::lanes) {
        const Register value = V::load(shifted + j);
        const Register rounded = V::store_rounded(quantized + j, V::multiply(value, factor));
        const Register difference = V::multiply_add(rounded, back, value);
        lost = V::multiply_add(difference, difference, lost);
    }
    *error = rounded_up(__builtin_sqrtf(V::reduce_add(lost) + vanished), padded) + 1e-7f * *norm;
}
