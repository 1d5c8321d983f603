// Random numbers that are the same on every platform (SplitMix64; Steele, Lea and Flood, 2014).
#pragma once

#include <cstdint>
#include <initializer_list>

class Random {
  public:
    explicit Random(uint64_t seed) : state(seed) {}

    uint64_t bits() {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

    // Both ends included.
    int64_t between(int64_t low, int64_t high) {
        return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
    }

    bool one_in(int64_t times) { return between(1, times) == 1; }

    template <typename Value>
    Value one_of(std::initializer_list<Value> values) {
        return values.begin()[between(0, static_cast<int64_t>(values.size()) - 1)];
    }

  private:
    uint64_t state;
};
