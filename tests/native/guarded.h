// Bytes beside a page that nobody may touch: a kernel that reads or writes outside its buffer dies at once.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

enum class Guard { before, after };

class Guarded {
  public:
    Guarded(int64_t size, Guard guard) : size(size), page(sysconf(_SC_PAGESIZE)) {
        room = (size + page - 1) / page * page;
        const int private_memory = MAP_PRIVATE | MAP_ANONYMOUS;
        void* pages = mmap(nullptr, room + 2 * page, PROT_NONE, private_memory, -1, 0);
        if (pages == MAP_FAILED || mprotect(static_cast<uint8_t*>(pages) + page, room, PROT_READ | PROT_WRITE))
            std::abort();
        start = static_cast<uint8_t*>(pages) + page;
        bytes = guard == Guard::after ? start + room - size : start;
        std::memset(start, canary, room);
    }

    ~Guarded() { munmap(start - page, room + 2 * page); }

    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    uint8_t* data() const { return bytes; }

    void forbid_writes() {
        if (mprotect(start, room, PROT_READ)) std::abort();
    }

    // False if something was written between the unguarded side and the end of its page.
    bool margin_is_intact() const {
        for (const uint8_t* byte = start; byte < start + room; ++byte)
            if (*byte != canary && (byte < bytes || byte >= bytes + size)) return false;
        return true;
    }

    static constexpr uint8_t canary = 0xa5;

  private:
    const int64_t size, page;
    int64_t room;
    uint8_t* start;
    uint8_t* bytes;
};
