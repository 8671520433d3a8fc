// Shared memory as the emulator gives it to a block. Every access is noted, and is an error where it is out of bounds, reads what
// nobody wrote, or meets another thread's on the same word with no barrier between them and one of the two writing.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace tfjs_torch {

class SharedMemory {
 public:
  explicit SharedMemory(size_t bytes) : bytes_(bytes), words_(bytes / wordBytes) {}

  // Throw std::runtime_error. Words are of 4 bytes; the word is the first of the number's.
  template <class Number>
  Number read(int64_t word, int thread) {
    uint32_t values[sizeof(Number) / wordBytes];
    for (uint32_t& value : values) value = readWord(word++, thread);
    Number number;
    std::memcpy(&number, values, sizeof number);
    return number;
  }
  template <class Number>
  void write(Number number, int64_t word, int thread) {
    uint32_t values[sizeof(Number) / wordBytes];
    std::memcpy(values, &number, sizeof number);
    for (const uint32_t value : values) writeWord(value, word++, thread);
  }

  // At each barrier and when a block has ended. Throws where a word was read that nobody had written.
  void endInterval();
  // A new block: nothing is written.
  void clear() { firstInterval_ = interval_; }

 private:
  static constexpr size_t wordBytes = 4;
  struct Word {
    uint32_t value = 0;
    int64_t written = 0, read = 0;  // the interval it last was; 0: never
    int writer = 0, reader = 0, otherReader = 0;  // the last writer; two threads that read it, where two did
  };
  struct Early {
    int64_t word;
    int thread;
  };

  uint32_t readWord(int64_t index, int thread) {
    Word& word = at(index, thread, "reads");
    if (word.written == interval_ && word.writer != thread) race(index, thread, "reads", word.writer, "wrote");
    if (word.read != interval_) word.reader = word.otherReader = thread;
    else if (word.reader != thread) word.otherReader = thread;
    word.read = interval_;
    // Reported at the interval's end: a write that comes too late is the better message.
    if (word.written < firstInterval_) early_.push_back({index, thread});
    return word.value;
  }
  void writeWord(uint32_t value, int64_t index, int thread) {
    Word& word = at(index, thread, "writes");
    if (word.written == interval_ && word.writer != thread) race(index, thread, "writes", word.writer, "wrote");
    if (word.read == interval_ && word.reader != thread) race(index, thread, "writes", word.reader, "read");
    if (word.read == interval_ && word.otherReader != thread) race(index, thread, "writes", word.otherReader, "read");
    word.written = interval_;
    word.writer = thread;
    word.value = value;
  }
  Word& at(int64_t index, int thread, const char* does) {
    if (index < 0 || index >= static_cast<int64_t>(words_.size())) outside(index, thread, does);
    return words_[index];
  }
  [[noreturn]] void outside(int64_t word, int thread, const char* does) const;
  [[noreturn]] void race(int64_t word, int thread, const char* does, int other, const char* did) const;

  size_t bytes_;
  std::vector<Word> words_;
  std::vector<Early> early_;
  int64_t interval_ = 1, firstInterval_ = 1;  // between two barriers; of this block
};

// What a pointer into shared memory is in a kernel, and what it points to, on behalf of one thread.
template <class Number>
struct SharedNumber {
  static_assert(sizeof(Number) % 4 == 0, "accesses are told apart by words of 4 bytes");
  SharedMemory* memory;
  int64_t word;
  int thread;

  operator Number() const { return memory->read<Number>(word, thread); }
  void operator=(Number x) const { memory->write(x, word, thread); }
  void operator=(const SharedNumber& x) const { *this = static_cast<Number>(x); }
  void operator+=(Number x) const { *this = static_cast<Number>(*this) + x; }
};
template <class Number>
struct SharedPointer {
  SharedMemory* memory;
  int64_t word;
  int thread;

  static constexpr int64_t step = sizeof(Number) / 4;
  SharedPointer operator+(int64_t i) const { return {memory, word + i * step, thread}; }
  SharedNumber<Number> operator[](int64_t i) const { return {memory, word + i * step, thread}; }
};

}  // namespace tfjs_torch
