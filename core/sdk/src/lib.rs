//! Inkling: language models that live in the phone. The facade that apps, bindings and the command line use.
