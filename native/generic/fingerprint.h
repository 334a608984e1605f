// A 64-bit fingerprint of rows, by which a batch is recognised as the one of the iteration before
// while it is read anyway: about one integer instruction for a word.
//
// Two fingerprints of the same keys are compared, never trusted across processes. A run of rows is
// cut into chunks of 1024 words of 32 bits. Each chunk is hashed by products of pairs of words
// modulo 2^64, sum_i (w_2i + k_2i) (w_2i+1 + k_2i+1), with an independent random key for every
// position, twice, the second time with the keys 16 places on; that is 2^-64 for two chunks that
// differ to agree in both. The hashes are the coefficients of a polynomial that is evaluated at a
// random point modulo 2^61 - 1. For blocks of up to 2^22 values any two that differ agree with a
// probability below 2^-46, whatever they hold.
//
// Source: Black, Halevi, Krawczyk, Krovetz and Rogaway, UMAC: fast and secure message
// authentication, CRYPTO 1999 (the products, and their Toeplitz construction); Carter and Wegman,
// Universal classes of hash functions, 1979 (the polynomial).

typedef Eight<std::uint64_t>::Part FingerprintWords;

// Adds the products of 16 words to sums.
static inline __attribute__((always_inline)) void add_words(const void* words,
                                                            const std::uint32_t* keys,
                                                            Eight<std::uint64_t>& first_sums,
                                                            Eight<std::uint64_t>& second_sums) {
    typedef std::uint32_t Halves __attribute__((vector_size(sizeof(FingerprintWords))));
    CENTROIDS_UNROLL
    for (int p = 0; p < Eight<std::uint64_t>::parts; ++p) {
        constexpr std::size_t lanes = sizeof(Halves) / sizeof(std::uint32_t);
        Halves own, first, second;
        __builtin_memcpy(&own, static_cast<const char*>(words) + p * sizeof own, sizeof own);
        __builtin_memcpy(&first, keys + p * lanes, sizeof first);
        __builtin_memcpy(&second, keys + 16 + p * lanes, sizeof second);
        FingerprintWords product;
        Steps::multiply_halves(reinterpret_cast<FingerprintWords>(own + first), product);
        first_sums.part[p] += product;
        Steps::multiply_halves(reinterpret_cast<FingerprintWords>(own + second), product);
        second_sums.part[p] += product;
    }
}

static inline std::uint64_t total_of(const Eight<std::uint64_t>& sums) {
    std::uint64_t parts[8], total = 0;
    store_eight(sums, parts);
    for (const std::uint64_t part : parts) total += part;
    return total;
}

// hash * point + value modulo 2^61 - 1; value below 2^61
static inline std::uint64_t next_power(std::uint64_t hash, std::uint64_t point,
                                       std::uint64_t value) {
    constexpr std::uint64_t prime = (std::uint64_t(1) << 61) - 1;
    const auto product = static_cast<unsigned __int128>(hash) * point + value;
    const std::uint64_t folded =
        static_cast<std::uint64_t>(product & prime) + static_cast<std::uint64_t>(product >> 61);
    return folded >= prime ? folded - prime : folded;
}

// bytes: IN [num_words * 4]
static std::uint64_t fingerprint_of_run(const char* bytes, std::size_t num_words,
                                        const FingerprintKeys& keys, std::uint64_t hash) {
    for (std::size_t from = 0; from < num_words; from += FingerprintKeys::words) {
        const std::size_t left = num_words - from;
        const std::size_t here = left < FingerprintKeys::words ? left : FingerprintKeys::words;
        const char* const chunk = bytes + from * 4;
        Eight<std::uint64_t> first = {}, second = {};
        std::size_t i = 0;
        for (; i + 16 <= here; i += 16) add_words(chunk + i * 4, keys.products + i, first, second);
        if (i < here) {
            std::uint32_t padded[16] = {};
            __builtin_memcpy(padded, chunk + i * 4, (here - i) * 4);
            add_words(padded, keys.products + i, first, second);
        }
        // 128 bits in three values below 2^61.
        const std::uint64_t one = total_of(first), two = total_of(second);
        hash = next_power(hash, keys.powers, one >> 4);
        hash = next_power(hash, keys.powers, two >> 4);
        hash = next_power(hash, keys.powers, (one & 15u) << 4 | (two & 15u));
    }
    return hash;
}

template <class T>
static std::uint64_t fingerprint(const T* rows, std::ptrdiff_t stride, std::size_t count,
                                 std::size_t dimensions, const FingerprintKeys& keys) {
    constexpr std::size_t words = sizeof(T) / 4; // of a value
    const bool together = stride == static_cast<std::ptrdiff_t>(dimensions);
    const std::size_t runs = together ? 1 : count;
    const std::size_t length = together ? count * dimensions : dimensions;
    std::uint64_t hash = 0;
    for (std::size_t run = 0; run < runs; ++run)
        hash = fingerprint_of_run(
            reinterpret_cast<const char*>(rows + static_cast<std::ptrdiff_t>(run) * stride),
            length * words, keys, hash);
    return hash;
}
