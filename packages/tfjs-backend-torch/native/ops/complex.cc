// complex64: one libtorch tensor of complex elements, not two real ones.
#include "ops.h"

namespace tfjs_torch {
namespace {

Tensor complex(const Tensor& real, const Tensor& imag) { return at::complex(real, imag); }
Tensor real(const Tensor& x) { return x.is_complex() ? at::real(x) : x.clone(); }
Tensor imag(const Tensor& x) { return x.is_complex() ? at::imag(x) : at::zeros_like(x); }
Tensor complexAbs(const Tensor& x) { return at::abs(x); }
Tensor fft(const Tensor& x) { return at::fft_fft(x); }
Tensor ifft(const Tensor& x) { return at::fft_ifft(x); }

}  // namespace

void exportComplex(Exports& exports) {
  exports.insert(exports.end(), {
      bind<complex>("complex"),
      bind<real>("real"),
      bind<imag>("imag"),
      bind<complexAbs>("complexAbs"),
      bind<fft>("fft"),
      bind<ifft>("ifft"),
  });
}

}  // namespace tfjs_torch
