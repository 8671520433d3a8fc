// Work on a thread of its own, which settles a promise.
#include "async.h"

#include <memory>

namespace tfjs_torch {
namespace {

struct Job {
  napi_async_work work;
  napi_deferred deferred;
  Later later;
  State* state;
  Settle settle;
  std::string error;
};

void execute(napi_env, void* data) {
  auto& job = *static_cast<Job*>(data);
  try {
    c10::InferenceMode guard;
    job.settle = job.later.work();
  } catch (const c10::Error& error) {
    job.error = error.what_without_backtrace();
  } catch (const std::exception& error) {
    job.error = error.what();
  }
}

void complete(napi_env env, napi_status status, void* data) {
  const std::unique_ptr<Job> job(static_cast<Job*>(data));
  if (status == napi_ok && job->settle) {
    Call call{env, *job->state};
    napi_resolve_deferred(env, job->deferred, job->settle(call));
  } else {
    napi_value message, error;
    const std::string text = job->error.empty() ? std::string(job->later.name) + " was cancelled" : job->error;
    napi_create_string_utf8(env, text.c_str(), text.size(), &message);
    napi_create_error(env, nullptr, message, &error);
    napi_reject_deferred(env, job->deferred, error);
  }
  napi_delete_async_work(env, job->work);
}

}  // namespace

napi_value toJs(Call& call, Later later) {
  auto job = std::make_unique<Job>();
  job->later = std::move(later);
  job->state = &call.state;
  napi_value promise, name;
  checkNapi(napi_create_string_utf8(call.env, job->later.name, NAPI_AUTO_LENGTH, &name), "a name");
  checkNapi(napi_create_async_work(call.env, nullptr, name, execute, complete, job.get(), &job->work), "work");
  checkNapi(napi_create_promise(call.env, &job->deferred, &promise), "a promise");
  if (napi_queue_async_work(call.env, job->work) != napi_ok) argumentError("a free place in the work queue");
  job.release();
  return promise;
}

}  // namespace tfjs_torch
