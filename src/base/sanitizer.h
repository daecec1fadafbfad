/*
 * Whether this is a build for tests, with sanitizers in it: for the few places where such a build has to
 * differ.
 */
#ifndef BASE_SANITIZER_H
#define BASE_SANITIZER_H

#ifdef __has_feature
#define SANITIZER_IS_ON(name) __has_feature(name)
#else
#define SANITIZER_IS_ON(name) 0
#endif

/* AddressSanitizer, and with it LeakSanitizer. */
#if defined(__SANITIZE_ADDRESS__) || SANITIZER_IS_ON(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#else
#define HAS_ADDRESS_SANITIZER 0
#endif

/* Any of them. gcc does not tell of its UndefinedBehaviorSanitizer. */
#if HAS_ADDRESS_SANITIZER || defined(__SANITIZE_THREAD__) || SANITIZER_IS_ON(thread_sanitizer) ||            \
    SANITIZER_IS_ON(undefined_behavior_sanitizer)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

#endif
