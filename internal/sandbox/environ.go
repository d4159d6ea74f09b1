package sandbox

import (
	"slices"
	"strings"
)

// Environ returns the part of env that commands and jobs may see: what programs
// need to find their files, libraries, caches and devices. Everything else stays
// here, and so does every name that looks like a secret. A password inside the
// address of a proxy or of a package index is passed on: it was put there for
// the programs that a command runs.
func Environ(env []string) []string {
	var kept []string
	for _, pair := range env {
		name, _, ok := strings.Cut(pair, "=")
		if ok && allowed(strings.ToUpper(name)) && !SecretName(name) {
			kept = append(kept, pair)
		}
	}
	return kept
}

// SecretName reports whether an environment variable of this name is likely to
// hold a secret.
func SecretName(name string) bool {
	name = strings.ToUpper(name)
	for _, suffix := range []string{"TOKEN", "TOKENS", "KEY", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIALS"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return slices.ContainsFunc(strings.Split(name, "_"), func(word string) bool {
		switch word {
		case "TOKEN", "KEY", "KEYS", "APIKEY", "SECRET", "SECRETS", "PASSWORD", "PASS", "CREDENTIAL", "AUTH", "COOKIE":
			return true
		}
		return false
	})
}

// allowed reports whether name, in capitals, is on the list. Windows and the
// proxy variables do not care for case; elsewhere a lower-case twin is harmless.
func allowed(name string) bool {
	for _, prefix := range []string{"LC_", "UV_", "PIP_", "SSL_CERT_", "CUDA_", "NVIDIA_", "HF_", "XDG_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LANGUAGE", "TZ", "TMPDIR",
		"LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV",
		"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
		"HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "XLA_FLAGS", "JAX_PLATFORMS",
		"TORCH_HOME", "TORCH_EXTENSIONS_DIR", "TRITON_HOME", "TRITON_CACHE_DIR", "NUMBA_CACHE_DIR", "MPLCONFIGDIR", "VLLM_CACHE_ROOT",
		"TRANSFORMERS_OFFLINE", "TOKENIZERS_PARALLELISM":
		return true
	case "PYTHONPATH", "PYTHONHASHSEED", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONWARNINGS", "PYTHONNOUSERSITE",
		"PYTHONUSERBASE", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONFAULTHANDLER":
		return true
	case "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP",
		"USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES":
		return true
	}
	return false
}
