/*
 * What Rust cannot do itself: Perl's API consists of macros to a large part, and croaking has to
 * happen where no Rust frame is on the stack that the longjmp would skip.
 */
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

/* Same values as in ffi.rs. */
enum {
    HAS_INTEGER = 1,
    HAS_FLOAT = 2,
    HAS_STRING = 4,
    IS_ARRAY = 8,
    IS_HASH = 16,
    IS_REFERENCE = 32,
    IS_OTHER = 64, /* the SV type is in the bits above */
    OTHER_SHIFT = 8,
};

/* Deserializes, calls and serializes; returns what to die with, or NULL. */
typedef SV *(*export_body)(SV **args, size_t count, AV *results);

XS_INTERNAL(call_export)
{
    dXSARGS;
    AV *results = (AV *)sv_2mortal((SV *)newAV());
    export_body body = (export_body)XSANY.any_ptr;

    SV *error = body(&ST(0), items, results);
    if (error)
        croak_sv(error);

    /* A tied argument may have moved the stack, so start from the offset again. */
    sp = PL_stack_base + ax - 1;
    const SSize_t count = av_len(results) + 1;
    EXTEND(sp, count);
    for (SSize_t i = 0; i < count; i++)
        ST(i) = sv_2mortal(av_shift(results));
    XSRETURN(count);
}

void standin_install(const char *name, export_body body, const char *prototype)
{
    CV *cv = newXS_flags(name, call_export, "perlmod", prototype, 0);
    XSANY.any_ptr = (void *)body;
}

/* boot_*() are called like any XSUB: without arguments or results there is only the mark to drop. */
void standin_drop_arguments(void)
{
    PL_stack_sp = PL_stack_base + POPMARK;
}

/*
 * What a scalar can be read as. As in the original this goes by the type of the SV, which Perl only
 * ever upgrades, and not by the flags that say what it holds now.
 */
static unsigned scalar_kind(SV *sv)
{
    switch (SvTYPE(sv)) {
    case SVt_IV:
        return HAS_INTEGER;
    case SVt_NV:
        return HAS_INTEGER | HAS_FLOAT;
    case SVt_PV:
        return HAS_STRING;
    case SVt_PVIV:
        return HAS_INTEGER | HAS_STRING;
    case SVt_PVNV:
    case SVt_PVMG:
        return HAS_INTEGER | HAS_FLOAT | HAS_STRING;
    default:
        return IS_OTHER | (unsigned)SvTYPE(sv) << OTHER_SHIFT;
    }
}

/* Runs the FETCH of a tied scalar; everything below reads what that left behind. */
unsigned standin_kind(SV *sv)
{
    if (SvTYPE(sv) == SVt_PVAV)
        return IS_ARRAY;
    if (SvTYPE(sv) == SVt_PVHV)
        return IS_HASH;
    if (SvTYPE(sv) == SVt_PVCV)
        return 0;

    SvGETMAGIC(sv);
    if (!SvOK(sv))
        return 0;
    if (SvROK(sv))
        return IS_REFERENCE;
    if (SvTYPE(sv) != SVt_PVLV)
        return scalar_kind(sv);

    /* substr() and the like point to a scalar; elements of tied containers only claim to. */
    if (!LvTARG(sv) || strchr("tTy", LvTYPE(sv)))
        return HAS_INTEGER | HAS_FLOAT | HAS_STRING;
    const unsigned target = standin_kind(LvTARG(sv));
    return target & (IS_ARRAY | IS_HASH) ? scalar_kind(sv) : target;
}

/*
 * The text or bytes of a scalar, out of a copy that lives until the end of the Perl statement: Rust
 * borrows it while tied values may run code that changes the original. Short of that, the copy is
 * cheap, for Perl shares the buffer.
 */
const char *standin_string(SV *sv, bool utf8, size_t *length)
{
    STRLEN len;
    SV *copy = sv_2mortal(newSVsv_nomg(sv));
    const char *text = utf8 ? SvPVutf8(copy, len) : SvPV(copy, len);
    *length = len;
    return text;
}

/* NULL where the array has a hole. */
SV *standin_array_get(AV *array, size_t index)
{
    SV **slot = av_fetch(array, index, 0);
    return slot ? *slot : NULL;
}

/* Takes over the value, as array_push() does. */
void standin_hash_store(HV *hash, SV *key, SV *value)
{
    if (!hv_store_ent(hash, key, value, 0))
        SvREFCNT_dec(value);
}

/* Both are borrowed. False at the end. */
bool standin_hash_next(HV *hash, SV **key, SV **value)
{
    HE *entry = hv_iternext(hash);
    if (!entry)
        return false;
    *key = hv_iterkeysv(entry);
    *value = hv_iterval(hash, entry);
    return true;
}

/* The rest only makes functions of macros, or fills in the interpreter's argument. */
#define WRAP(type, name, params, expression) \
    type standin_##name params \
    { \
        return expression; \
    }
#define WRAP_VOID(name, params, statement) \
    void standin_##name params \
    { \
        statement; \
    }

/* What a reference points to, or NULL. Does not look behind magic, like the original. */
WRAP(SV *, target, (SV * sv), SvROK(sv) ? SvRV(sv) : NULL)
WRAP(IV, integer, (SV * sv), SvIV_nomg(sv))
WRAP(NV, float, (SV * sv), SvNV_nomg(sv))
WRAP(bool, truth, (SV * sv), SvTRUE_nomg(sv))

WRAP(SV *, new_undef, (void), SvREFCNT_inc_simple_NN(&PL_sv_undef))
WRAP(SV *, new_integer, (IV value), newSViv(value))
WRAP(SV *, new_unsigned, (UV value), newSVuv(value))
WRAP(SV *, new_float, (NV value), newSVnv(value))
WRAP(SV *, new_string, (const char *text, size_t size, bool utf8), newSVpvn_utf8(text, size, utf8))
WRAP(AV *, new_array, (void), newAV())
WRAP(HV *, new_hash, (void), newHV())
WRAP(SV *, new_reference, (SV * taken), newRV_noinc(taken))

WRAP(SV *, mortal, (SV * sv), sv_2mortal(sv))
WRAP_VOID(retain, (SV * sv), SvREFCNT_inc_simple_void_NN(sv))
WRAP_VOID(release, (SV * sv), SvREFCNT_dec_NN(sv))

WRAP(size_t, array_length, (AV * array), av_len(array) + 1)
WRAP_VOID(array_push, (AV * array, SV *taken), av_push(array, taken))
WRAP(size_t, hash_length, (HV * hash), HvTOTALKEYS(hash))
WRAP_VOID(hash_rewind, (HV * hash), hv_iterinit(hash))
