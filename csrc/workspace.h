// Scratch memory for workers, allocated before they start: there, running out of memory can still be reported.
#pragma once

#include <cstdint>
#include <memory>

namespace dislayers {

// One stretch of `count` elements a worker, not initialised, aligned for vectors of any instruction set.
template <typename T>
class Workspace {
   public:
    Workspace(int64_t workers, int64_t count)
        : lines_((count * static_cast<int64_t>(sizeof(T)) + line - 1) / line),
          memory_(new Line[static_cast<size_t>(workers * lines_)]) {}

    T* of(int64_t worker) const { return reinterpret_cast<T*>(memory_[static_cast<size_t>(worker * lines_)].bytes); }

   private:
    static constexpr int64_t line = 64;
    struct alignas(line) Line {
        unsigned char bytes[line];
    };
    int64_t lines_;
    std::unique_ptr<Line[]> memory_;
};

}  // namespace dislayers
