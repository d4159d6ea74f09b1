class _LazyModule: pass
