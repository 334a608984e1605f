// Vectors whose first element starts a cache line: a 64-byte load that straddles two costs double.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

namespace centroids {

template <class T>
struct CacheLineAllocator {
    using value_type = T;
    static constexpr std::size_t line = 64;

    CacheLineAllocator() = default;
    template <class U>
    CacheLineAllocator(const CacheLineAllocator<U>&) {}

#if defined(__SANITIZE_ADDRESS__) // knows where memory of this kind ends
    T* allocate(std::size_t count) {
        return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(line)));
    }
    void deallocate(T* memory, std::size_t) { ::operator delete(memory, std::align_val_t(line)); }
#else
    // Memory with an alignment takes glibc a hundred nanoseconds, other a few. What it gave stands
    // before the first element.
    T* allocate(std::size_t count) {
        auto* const given = static_cast<unsigned char*>(::operator new(count * sizeof(T) + line));
        unsigned char* const first =
            given + (line - reinterpret_cast<std::uintptr_t>(given) % line);
        std::memcpy(first - sizeof given, &given, sizeof given);
        return reinterpret_cast<T*>(first);
    }
    void deallocate(T* memory, std::size_t) {
        unsigned char* given;
        std::memcpy(&given, reinterpret_cast<unsigned char*>(memory) - sizeof given, sizeof given);
        ::operator delete(given);
    }
#endif
    template <class U>
    bool operator==(const CacheLineAllocator<U>&) const {
        return true;
    }
};

template <class T>
using AlignedVector = std::vector<T, CacheLineAllocator<T>>;

} // namespace centroids
