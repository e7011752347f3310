/* backend/mlx/binding/mlxc.cpp - mlxc.h over libmlx's C++ API: the only C++ in Wick.
 *
 * Invariants:
 * 1. No exception leaves a function: each body runs in guard() or fresh(), which hand the message to the handler.
 * 2. There is always a handler that returns: the default one drops the message.
 * 3. A handle's ctx is a heap object of the type below that this file alone makes and deletes, or NULL.
 */
#include "mlxc.h"

#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "mlx/compile.h"
#include "mlx/fast.h"
#include "mlx/memory.h"
#include "mlx/mlx.h"
#include "mlx/version.h"

namespace mx = mlx::core;

namespace
{

using Arrays = std::vector<mx::array>;
using Function = std::function<Arrays(const Arrays &)>;
using Info = std::unordered_map<std::string, std::variant<std::string, size_t>>;

using Strings = std::vector<std::string>;
using Kernel = mx::fast::CustomKernelFunction;

struct KernelConfig {
    std::vector<mx::Shape> shapes;
    std::vector<mx::Dtype> types;
    std::tuple<int, int, int> grid{1, 1, 1}, group{1, 1, 1};
    std::vector<std::pair<std::string, mx::fast::TemplateArg>> args;
};

struct Handler {
    mlx_error_handler_func call = nullptr;
    void *data = nullptr;
    void (*dtor)(void *) = nullptr;
} handler;

void report(const char *what)
{
    if (handler.call) handler.call(what, handler.data);
}

/* Runs f; 0, or 1 with the handler told. */
template <typename F> int guard(F &&f)
{
    try {
        f();
        return 0;
    } catch (const std::bad_alloc &) {
        report("out of memory");
    } catch (const std::exception &e) {
        report(e.what());
    } catch (...) {
        report("an exception of an unknown type");
    }
    return 1;
}

/* A handle made by f, or an empty one. */
template <typename H, typename F> H fresh(F &&f)
{
    H h{nullptr};
    guard([&] { h.ctx = f(); });
    return h;
}

template <typename T, typename H> T &get(const H &h)
{
    if (!h.ctx) throw std::invalid_argument("an empty handle was passed to MLX");
    return *static_cast<T *>(h.ctx);
}

template <typename T, typename H> void put(H *h, T &&value)
{
    using V = std::decay_t<T>;
    if (h->ctx)
        *static_cast<V *>(h->ctx) = std::forward<T>(value);
    else
        h->ctx = new V(std::forward<T>(value));
}

template <typename T, typename H> int drop(H h)
{
    return guard([&] { delete static_cast<T *>(h.ctx); });
}

mx::array &arr(mlx_array a)
{
    return get<mx::array>(a);
}

std::optional<mx::array> opt(mlx_array a)
{
    return a.ctx ? std::make_optional(arr(a)) : std::nullopt;
}

std::optional<int> opt(mlx_optional_int v)
{
    return v.has_value ? std::make_optional(v.value) : std::nullopt;
}

std::optional<float> opt(mlx_optional_float v)
{
    return v.has_value ? std::make_optional(v.value) : std::nullopt;
}

mx::Stream str(mlx_stream s)
{
    return get<mx::Stream>(s);
}

mx::Shape shape(const int *p, size_t n)
{
    return mx::Shape(p, p + n);
}

const mx::Dtype dtypes[] = {mx::bool_, mx::uint8, mx::uint16,  mx::uint32,  mx::uint64,  mx::int8,     mx::int16,
                            mx::int32, mx::int64, mx::float16, mx::float32, mx::float64, mx::bfloat16, mx::complex64};

mx::Dtype dtype_of(mlx_dtype t)
{
    if (static_cast<size_t>(t) >= sizeof dtypes / sizeof *dtypes) throw std::invalid_argument("no such dtype");
    return dtypes[t];
}

template <typename T> const T *data_of(mlx_array a)
{
    const T *p = nullptr;
    guard([&] {
        if (arr(a).status() == mx::array::Status::unscheduled) throw std::logic_error("the array is not evaluated");
        p = arr(a).data<T>();
    });
    return p;
}

template <typename F> int size_result(size_t *res, F &&f)
{
    return guard([&] {
        size_t v = f();
        if (res) *res = v;
    });
}

} // namespace

extern "C" {

void mlx_set_error_handler(mlx_error_handler_func call, void *data, void (*dtor)(void *))
{
    if (handler.dtor) handler.dtor(handler.data);
    handler = {call, data, dtor};
}

int mlx_version(mlx_string *s)
{
    return guard([&] { put(s, std::string(mx::version())); });
}

mlx_string mlx_string_new(void)
{
    return mlx_string{nullptr}; // as mlx-c's: there is nothing before it is set
}

const char *mlx_string_data(mlx_string s)
{
    return s.ctx ? static_cast<std::string *>(s.ctx)->c_str() : "";
}

int mlx_string_free(mlx_string s)
{
    return drop<std::string>(s);
}

mlx_array mlx_array_new_data(const void *data, const int *dims, int n, mlx_dtype t)
{
    return fresh<mlx_array>([&] {
        mx::Dtype d = dtype_of(t);
        mx::Shape sh = shape(dims, static_cast<size_t>(n));
        size_t bytes = d.size();
        for (auto v : sh) bytes *= static_cast<size_t>(v);
        auto buffer = mx::allocator::malloc(bytes);
        std::memcpy(buffer.buffer().raw_ptr(), data, bytes);
        return new mx::array(std::move(buffer), sh, d);
    });
}

mlx_array mlx_array_new_data_managed_payload(void *data, const int *dims, int n, mlx_dtype t, void *payload,
                                             void (*dtor)(void *))
{
    return fresh<mlx_array>([&] {
        return new mx::array(data, shape(dims, static_cast<size_t>(n)), dtype_of(t), [=](void *) { dtor(payload); });
    });
}

int mlx_array_set(mlx_array *a, const mlx_array src)
{
    return guard([&] { put(a, mx::array(arr(src))); });
}

int mlx_array_free(mlx_array a)
{
    return drop<mx::array>(a);
}

int mlx_array_eval(mlx_array a)
{
    return guard([&] { arr(a).eval(); });
}

size_t mlx_array_size(const mlx_array a)
{
    return a.ctx ? static_cast<mx::array *>(a.ctx)->size() : 0;
}

size_t mlx_array_nbytes(const mlx_array a)
{
    return a.ctx ? static_cast<mx::array *>(a.ctx)->nbytes() : 0;
}

const float *mlx_array_data_float32(const mlx_array a)
{
    return data_of<float>(a);
}

const uint8_t *mlx_array_data_uint8(const mlx_array a)
{
    return data_of<uint8_t>(a);
}

const uint16_t *mlx_array_data_uint16(const mlx_array a)
{
    return data_of<uint16_t>(a);
}

const uint32_t *mlx_array_data_uint32(const mlx_array a)
{
    return data_of<uint32_t>(a);
}

mlx_vector_array mlx_vector_array_new(void)
{
    return fresh<mlx_vector_array>([] { return new Arrays; });
}

mlx_vector_array mlx_vector_array_new_data(const mlx_array *data, size_t n)
{
    return fresh<mlx_vector_array>([&] {
        auto v = std::make_unique<Arrays>();
        for (size_t i = 0; i < n; i++) v->push_back(arr(data[i]));
        return v.release();
    });
}

int mlx_vector_array_free(mlx_vector_array v)
{
    return drop<Arrays>(v);
}

int mlx_vector_array_append_value(mlx_vector_array v, const mlx_array a)
{
    return guard([&] { get<Arrays>(v).push_back(arr(a)); });
}

int mlx_vector_array_get(mlx_array *res, const mlx_vector_array v, size_t i)
{
    return guard([&] { put(res, mx::array(get<Arrays>(v).at(i))); });
}

int mlx_eval(const mlx_vector_array v)
{
    return guard([&] { mx::eval(get<Arrays>(v)); });
}

int mlx_async_eval(const mlx_vector_array v)
{
    return guard([&] { mx::async_eval(get<Arrays>(v)); });
}

mlx_closure mlx_closure_new_func_payload(int (*fun)(mlx_vector_array *, const mlx_vector_array, void *), void *payload,
                                         void (*dtor)(void *))
{
    return fresh<mlx_closure>([&] {
        std::shared_ptr<void> owner(payload, [dtor](void *p) {
            if (dtor) dtor(p);
        });
        return new Function([fun, owner](const Arrays &in) {
            Arrays input(in), output;
            mlx_vector_array out{nullptr};
            int rc = fun(&out, mlx_vector_array{&input}, owner.get());
            std::unique_ptr<Arrays> made(static_cast<Arrays *>(out.ctx));
            if (rc || !made) throw std::runtime_error("a function under compilation failed");
            return std::move(*made);
        });
    });
}

int mlx_closure_apply(mlx_vector_array *res, mlx_closure f, const mlx_vector_array in)
{
    return guard([&] { put(res, get<Function>(f)(get<Arrays>(in))); });
}

int mlx_closure_free(mlx_closure f)
{
    return drop<Function>(f);
}

int mlx_compile(mlx_closure *res, const mlx_closure f, bool shapeless)
{
    return guard([&] { put(res, Function(mx::compile(get<Function>(f), shapeless))); });
}

mlx_vector_string mlx_vector_string_new(void)
{
    return fresh<mlx_vector_string>([] { return new Strings(); });
}

int mlx_vector_string_append_value(mlx_vector_string v, const char *text)
{
    return guard([&] { get<Strings>(v).push_back(text); });
}

int mlx_vector_string_free(mlx_vector_string v)
{
    return drop<Strings>(v);
}

mlx_fast_cuda_kernel_config mlx_fast_cuda_kernel_config_new(void)
{
    return fresh<mlx_fast_cuda_kernel_config>([] { return new KernelConfig(); });
}

void mlx_fast_cuda_kernel_config_free(mlx_fast_cuda_kernel_config c)
{
    drop<KernelConfig>(c);
}

int mlx_fast_cuda_kernel_config_add_output_arg(mlx_fast_cuda_kernel_config c, const int *shape, size_t n, mlx_dtype t)
{
    return guard([&] {
        get<KernelConfig>(c).shapes.push_back(mx::Shape(shape, shape + n));
        get<KernelConfig>(c).types.push_back(dtype_of(t));
    });
}

int mlx_fast_cuda_kernel_config_set_grid(mlx_fast_cuda_kernel_config c, int x, int y, int z)
{
    return guard([&] { get<KernelConfig>(c).grid = {x, y, z}; });
}

int mlx_fast_cuda_kernel_config_set_thread_group(mlx_fast_cuda_kernel_config c, int x, int y, int z)
{
    return guard([&] { get<KernelConfig>(c).group = {x, y, z}; });
}

int mlx_fast_cuda_kernel_config_add_template_arg_dtype(mlx_fast_cuda_kernel_config c, const char *name, mlx_dtype t)
{
    return guard([&] { get<KernelConfig>(c).args.emplace_back(name, dtype_of(t)); });
}

int mlx_fast_cuda_kernel_config_add_template_arg_int(mlx_fast_cuda_kernel_config c, const char *name, int value)
{
    return guard([&] { get<KernelConfig>(c).args.emplace_back(name, value); });
}

mlx_fast_cuda_kernel mlx_fast_cuda_kernel_new(const char *name, const mlx_vector_string in, const mlx_vector_string out,
                                              const char *source, const char *header, bool contiguous, int shared)
{
    return fresh<mlx_fast_cuda_kernel>([&] {
        return new Kernel(
            mx::fast::cuda_kernel(name, get<Strings>(in), get<Strings>(out), source, header, contiguous, shared));
    });
}

void mlx_fast_cuda_kernel_free(mlx_fast_cuda_kernel k)
{
    drop<Kernel>(k);
}

int mlx_fast_cuda_kernel_apply(mlx_vector_array *res, mlx_fast_cuda_kernel k, const mlx_vector_array in,
                               const mlx_fast_cuda_kernel_config c, const mlx_stream s)
{
    return guard([&] {
        const KernelConfig &o = get<KernelConfig>(c);
        put(res,
            get<Kernel>(k)(get<Arrays>(in), o.shapes, o.types, o.grid, o.group, o.args, std::nullopt, false, str(s)));
    });
}

mlx_device mlx_device_new_type(mlx_device_type type, int index)
{
    return fresh<mlx_device>(
        [&] { return new mx::Device(type == MLX_CPU ? mx::Device::cpu : mx::Device::gpu, index); });
}

int mlx_device_free(mlx_device d)
{
    return drop<mx::Device>(d);
}

int mlx_device_is_available(bool *avail, mlx_device d)
{
    return guard([&] { *avail = mx::is_available(get<mx::Device>(d)); });
}

int mlx_set_default_device(mlx_device d)
{
    return guard([&] { mx::set_default_device(get<mx::Device>(d)); });
}

mlx_device_info mlx_device_info_new(void)
{
    return mlx_device_info{nullptr};
}

int mlx_device_info_get(mlx_device_info *info, mlx_device d)
{
    return guard([&] { put(info, Info(mx::device_info(get<mx::Device>(d)))); });
}

int mlx_device_info_free(mlx_device_info info)
{
    return drop<Info>(info);
}

int mlx_device_info_has_key(bool *exists, mlx_device_info info, const char *key)
{
    return guard([&] { *exists = get<Info>(info).count(key) != 0; });
}

int mlx_device_info_get_string(const char **value, mlx_device_info info, const char *key)
{
    return guard([&] { *value = std::get<std::string>(get<Info>(info).at(key)).c_str(); });
}

int mlx_device_info_get_size(size_t *value, mlx_device_info info, const char *key)
{
    return guard([&] { *value = std::get<size_t>(get<Info>(info).at(key)); });
}

mlx_stream mlx_stream_new_device(mlx_device d)
{
    return fresh<mlx_stream>([&] { return new mx::Stream(mx::new_stream(get<mx::Device>(d))); });
}

int mlx_stream_free(mlx_stream s)
{
    return drop<mx::Stream>(s);
}

int mlx_set_default_stream(mlx_stream s)
{
    return guard([&] { mx::set_default_stream(str(s)); });
}

int mlx_synchronize(mlx_stream s)
{
    return guard([&] { mx::synchronize(str(s)); });
}

int mlx_clear_cache(void)
{
    return guard([] { mx::clear_cache(); });
}

int mlx_get_active_memory(size_t *res)
{
    return size_result(res, mx::get_active_memory);
}

int mlx_get_cache_memory(size_t *res)
{
    return size_result(res, mx::get_cache_memory);
}

int mlx_get_peak_memory(size_t *res)
{
    return size_result(res, mx::get_peak_memory);
}

int mlx_set_cache_limit(size_t *res, size_t limit)
{
    return size_result(res, [=] { return mx::set_cache_limit(limit); });
}

int mlx_set_memory_limit(size_t *res, size_t limit)
{
    return size_result(res, [=] { return mx::set_memory_limit(limit); });
}

int mlx_set_wired_limit(size_t *res, size_t limit)
{
    return size_result(res, [=] { return mx::set_wired_limit(limit); });
}

#define UNARY(name)                                                       \
    int mlx_##name(mlx_array *res, const mlx_array a, const mlx_stream s) \
    {                                                                     \
        return guard([&] { put(res, mx::name(arr(a), str(s))); });        \
    }
#define BINARY(name)                                                                         \
    int mlx_##name(mlx_array *res, const mlx_array a, const mlx_array b, const mlx_stream s) \
    {                                                                                        \
        return guard([&] { put(res, mx::name(arr(a), arr(b), str(s))); });                   \
    }
UNARY(sigmoid)
UNARY(tanh)
UNARY(erf)
UNARY(exp)
UNARY(square)
BINARY(add)
BINARY(subtract)
BINARY(multiply)
BINARY(divide)
BINARY(maximum)
BINARY(minimum)
BINARY(less)
BINARY(less_equal)
BINARY(logical_and)
BINARY(logaddexp)
BINARY(floor_divide)
BINARY(matmul)

int mlx_where(mlx_array *res, const mlx_array c, const mlx_array x, const mlx_array y, const mlx_stream s)
{
    return guard([&] { put(res, mx::where(arr(c), arr(x), arr(y), str(s))); });
}

int mlx_astype(mlx_array *res, const mlx_array a, mlx_dtype t, const mlx_stream s)
{
    return guard([&] { put(res, mx::astype(arr(a), dtype_of(t), str(s))); });
}

int mlx_reshape(mlx_array *res, const mlx_array a, const int *dims, size_t n, const mlx_stream s)
{
    return guard([&] { put(res, mx::reshape(arr(a), shape(dims, n), str(s))); });
}

int mlx_transpose_axes(mlx_array *res, const mlx_array a, const int *axes, size_t n, const mlx_stream s)
{
    return guard([&] { put(res, mx::transpose(arr(a), std::vector<int>(axes, axes + n), str(s))); });
}

int mlx_broadcast_to(mlx_array *res, const mlx_array a, const int *dims, size_t n, const mlx_stream s)
{
    return guard([&] { put(res, mx::broadcast_to(arr(a), shape(dims, n), str(s))); });
}

int mlx_contiguous(mlx_array *res, const mlx_array a, bool allow_col_major, const mlx_stream s)
{
    return guard([&] { put(res, mx::contiguous(arr(a), allow_col_major, str(s))); });
}

int mlx_slice(mlx_array *res, const mlx_array a, const int *start, size_t n_start, const int *stop, size_t n_stop,
              const int *strides, size_t n_strides, const mlx_stream s)
{
    return guard([&] {
        put(res, mx::slice(arr(a), shape(start, n_start), shape(stop, n_stop), shape(strides, n_strides), str(s)));
    });
}

int mlx_slice_update(mlx_array *res, const mlx_array a, const mlx_array update, const int *start, size_t n_start,
                     const int *stop, size_t n_stop, const int *strides, size_t n_strides, const mlx_stream s)
{
    return guard([&] {
        put(res, mx::slice_update(arr(a), arr(update), shape(start, n_start), shape(stop, n_stop),
                                  shape(strides, n_strides), str(s)));
    });
}

int mlx_concatenate_axis(mlx_array *res, const mlx_vector_array v, int axis, const mlx_stream s)
{
    return guard([&] { put(res, mx::concatenate(get<Arrays>(v), axis, str(s))); });
}

int mlx_zeros(mlx_array *res, const int *dims, size_t n, mlx_dtype t, const mlx_stream s)
{
    return guard([&] { put(res, mx::zeros(shape(dims, n), dtype_of(t), str(s))); });
}

int mlx_arange(mlx_array *res, double start, double stop, double step, mlx_dtype t, const mlx_stream s)
{
    return guard([&] { put(res, mx::arange(start, stop, step, dtype_of(t), str(s))); });
}

int mlx_take_axis(mlx_array *res, const mlx_array a, const mlx_array idx, int axis, const mlx_stream s)
{
    return guard([&] { put(res, mx::take(arr(a), arr(idx), axis, str(s))); });
}

int mlx_take_along_axis(mlx_array *res, const mlx_array a, const mlx_array idx, int axis, const mlx_stream s)
{
    return guard([&] { put(res, mx::take_along_axis(arr(a), arr(idx), axis, str(s))); });
}

int mlx_put_along_axis(mlx_array *res, const mlx_array a, const mlx_array idx, const mlx_array values, int axis,
                       const mlx_stream s)
{
    return guard([&] { put(res, mx::put_along_axis(arr(a), arr(idx), arr(values), axis, str(s))); });
}

int mlx_argpartition_axis(mlx_array *res, const mlx_array a, int kth, int axis, const mlx_stream s)
{
    return guard([&] { put(res, mx::argpartition(arr(a), kth, axis, str(s))); });
}

int mlx_argsort_axis(mlx_array *res, const mlx_array a, int axis, const mlx_stream s)
{
    return guard([&] { put(res, mx::argsort(arr(a), axis, str(s))); });
}

int mlx_topk_axis(mlx_array *res, const mlx_array a, int k, int axis, const mlx_stream s)
{
    return guard([&] { put(res, mx::topk(arr(a), k, axis, str(s))); });
}

int mlx_max_axis(mlx_array *res, const mlx_array a, int axis, bool keepdims, const mlx_stream s)
{
    return guard([&] { put(res, mx::max(arr(a), axis, keepdims, str(s))); });
}

int mlx_argmax_axis(mlx_array *res, const mlx_array a, int axis, bool keepdims, const mlx_stream s)
{
    return guard([&] { put(res, mx::argmax(arr(a), axis, keepdims, str(s))); });
}

int mlx_logsumexp_axis(mlx_array *res, const mlx_array a, int axis, bool keepdims, const mlx_stream s)
{
    return guard([&] { put(res, mx::logsumexp(arr(a), axis, keepdims, str(s))); });
}

int mlx_sum_axis(mlx_array *res, const mlx_array a, int axis, bool keepdims, const mlx_stream s)
{
    return guard([&] { put(res, mx::sum(arr(a), axis, keepdims, str(s))); });
}

int mlx_softmax_axis(mlx_array *res, const mlx_array a, int axis, bool precise, const mlx_stream s)
{
    return guard([&] { put(res, mx::softmax(arr(a), axis, precise, str(s))); });
}

int mlx_addmm(mlx_array *res, const mlx_array c, const mlx_array a, const mlx_array b, float alpha, float beta,
              const mlx_stream s)
{
    return guard([&] { put(res, mx::addmm(arr(c), arr(a), arr(b), alpha, beta, str(s))); });
}

int mlx_gather_mm(mlx_array *res, const mlx_array a, const mlx_array b, const mlx_array lhs, const mlx_array rhs,
                  bool sorted, const mlx_stream s)
{
    return guard([&] { put(res, mx::gather_mm(arr(a), arr(b), opt(lhs), opt(rhs), sorted, str(s))); });
}

int mlx_quantize(mlx_vector_array *res, const mlx_array w, mlx_optional_int group, mlx_optional_int bits,
                 const char *mode, const mlx_array global_scale, const mlx_stream s)
{
    return guard([&] { put(res, mx::quantize(arr(w), opt(group), opt(bits), mode, opt(global_scale), str(s))); });
}

int mlx_quantized_matmul(mlx_array *res, const mlx_array x, const mlx_array w, const mlx_array scales,
                         const mlx_array biases, bool transpose, mlx_optional_int group, mlx_optional_int bits,
                         const char *mode, const mlx_stream s)
{
    return guard([&] {
        put(res, mx::quantized_matmul(arr(x), arr(w), arr(scales), opt(biases), transpose, opt(group), opt(bits), mode,
                                      str(s)));
    });
}

int mlx_gather_qmm(mlx_array *res, const mlx_array x, const mlx_array w, const mlx_array scales, const mlx_array biases,
                   const mlx_array lhs, const mlx_array rhs, bool transpose, mlx_optional_int group,
                   mlx_optional_int bits, const char *mode, bool sorted, const mlx_stream s)
{
    return guard([&] {
        put(res, mx::gather_qmm(arr(x), arr(w), arr(scales), opt(biases), opt(lhs), opt(rhs), transpose, opt(group),
                                opt(bits), mode, std::nullopt, sorted, str(s)));
    });
}

int mlx_dequantize(mlx_array *res, const mlx_array w, const mlx_array scales, const mlx_array biases,
                   mlx_optional_int group, mlx_optional_int bits, const char *mode, const mlx_array global_scale,
                   mlx_optional_dtype t, const mlx_stream s)
{
    return guard([&] {
        auto d = t.has_value ? std::make_optional(dtype_of(t.value)) : std::nullopt;
        put(res, mx::dequantize(arr(w), arr(scales), opt(biases), opt(group), opt(bits), mode, opt(global_scale), d,
                                str(s)));
    });
}

int mlx_fast_rms_norm(mlx_array *res, const mlx_array x, const mlx_array w, float eps, const mlx_stream s)
{
    return guard([&] { put(res, mx::fast::rms_norm(arr(x), opt(w), eps, str(s))); });
}

int mlx_fast_layer_norm(mlx_array *res, const mlx_array x, const mlx_array w, const mlx_array b, float eps,
                        const mlx_stream s)
{
    return guard([&] { put(res, mx::fast::layer_norm(arr(x), opt(w), opt(b), eps, str(s))); });
}

int mlx_fast_rope(mlx_array *res, const mlx_array x, int dims, bool traditional, mlx_optional_float base, float scale,
                  int offset, const mlx_array freqs, const mlx_stream s)
{
    return guard(
        [&] { put(res, mx::fast::rope(arr(x), dims, traditional, opt(base), scale, offset, opt(freqs), str(s))); });
}

int mlx_fast_rope_dynamic(mlx_array *res, const mlx_array x, int dims, bool traditional, mlx_optional_float base,
                          float scale, const mlx_array offset, const mlx_array freqs, const mlx_stream s)
{
    return guard([&] {
        put(res, mx::fast::rope(arr(x), dims, traditional, opt(base), scale, arr(offset), opt(freqs), str(s)));
    });
}

int mlx_fast_scaled_dot_product_attention(mlx_array *res, const mlx_array q, const mlx_array k, const mlx_array v,
                                          float scale, const char *mask_mode, const mlx_array mask,
                                          const mlx_array sinks, const mlx_stream s)
{
    return guard([&] {
        put(res, mx::fast::scaled_dot_product_attention(arr(q), arr(k), arr(v), scale, mask_mode, opt(mask), opt(sinks),
                                                        false, str(s)));
    });
}

} // extern "C"
