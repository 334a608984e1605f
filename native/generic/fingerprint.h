// A 64-bit fingerprint of rows: sum_i w_i k_i modulo 2^64 over the bits w of all elements, with
// fixed odd numbers k. It is how a batch is recognised as the one of the iteration before while it
// is read anyway: a few integer instructions for eight elements.
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

template <class T>
static std::uint64_t fingerprint_of_run(const T* values, std::size_t count) {
    using Word = typename WordOf<sizeof(T)>::Type;
    constexpr std::uint64_t first_keys[8] = {
        0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u, 0x8cb92ba72f3d8dd7u, 0xaef17502108ef2d9u,
        0xf1357aea2e62a9c5u, 0xdb4f0b9175ae2165u, 0xbbe0563303a4615fu, 0xa0f2ec75a1fe1575u};
    Eight<std::uint64_t> even_sums = {}, odd_sums = {}, keys;
    load_eight(first_keys, keys);
    constexpr std::uint64_t step = 0x632be59bd9b4e01au; // even: the keys stay odd
    std::size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        Word words[16];
        __builtin_memcpy(words, values + i, sizeof words);
        Eight<std::uint64_t> first, second;
        load_eight(words, first);
        load_eight(words + 8, second);
        CENTROIDS_UNROLL
        for (int p = 0; p < Eight<std::uint64_t>::parts; ++p) {
            even_sums.part[p] += first.part[p] * keys.part[p];
            odd_sums.part[p] += second.part[p] * (keys.part[p] + step);
            keys.part[p] += 2 * step;
        }
    }
    std::uint64_t even[8], odd[8], total = 0, key = keys.part[0][0];
    store_eight(even_sums, even);
    store_eight(odd_sums, odd);
    for (int lane = 0; lane < 8; ++lane) total += even[lane] + odd[lane];
    for (; i < count; ++i, key += 0x94d049bb133111ebu - 1) {
        Word word;
        __builtin_memcpy(&word, values + i, sizeof word);
        total += word * key;
    }
    return total;
}

template <class T>
static std::uint64_t fingerprint(const T* rows, std::ptrdiff_t stride, std::size_t count,
                                 std::size_t dimensions) {
    if (stride == static_cast<std::ptrdiff_t>(dimensions))
        return fingerprint_of_run(rows, count * dimensions);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < count; ++i)
        total = total * 0xd6e8feb86659fd93u +
                fingerprint_of_run(rows + static_cast<std::ptrdiff_t>(i) * stride, dimensions);
    return total;
}
