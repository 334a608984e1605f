// A 64-bit fingerprint of rows: sum_i r_i sum_j w_ij k_j modulo 2^64 over the bits w of the
// elements, with fixed odd numbers r and k. It is how a batch is recognised as the one of the
// iteration before while it is read anyway: a few integer instructions for eight elements.
//
// Source: multilinear hashing, Carter and Wegman, Universal classes of hash functions, 1979.

template <std::size_t bytes>
struct WordOf;
template <>
struct WordOf<4> {
    using Type = std::uint32_t;
};
template <>
struct WordOf<8> {
    using Type = std::uint64_t;
};

// Well mixed bits of a counter (the multiplier is the golden ratio's).
static inline std::uint64_t odd_number(std::uint64_t at) {
    at *= 0x9e3779b97f4a7c15u;
    return (at ^ at >> 29) | 1u;
}

template <class T>
static std::uint64_t fingerprint(const T* rows, std::ptrdiff_t stride, std::size_t count,
                                 std::size_t dimensions) {
    using Word = typename WordOf<sizeof(T)>::Type;
    typedef std::uint64_t Words __attribute__((vector_size(64)));
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const T* const row = rows + static_cast<std::ptrdiff_t>(i) * stride;
        Words sums = {0, 0, 0, 0, 0, 0, 0, 0};
        Words keys = {0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u, 0x8cb92ba72f3d8dd7u,
                      0xaef17502108ef2d9u, 0xf1357aea2e62a9c5u, 0xdb4f0b9175ae2165u,
                      0xbbe0563303a4615fu, 0xa0f2ec75a1fe1575u};
        std::size_t j = 0;
        for (; j + 8 <= dimensions; j += 8) {
            Eight<Word> words;
            __builtin_memcpy(&words, row + j, sizeof words);
            sums += __builtin_convertvector(words.values, Words) * keys;
            keys += 0x632be59bd9b4e01au; // even: the keys stay odd
        }
        std::uint64_t of_row = 0;
        for (int lane = 0; lane < 8; ++lane) of_row += sums[lane];
        for (; j < dimensions; ++j) {
            Word word;
            __builtin_memcpy(&word, row + j, sizeof word);
            of_row += word * odd_number(j + 1);
        }
        total += of_row * odd_number(i + 1);
    }
    return total;
}
