package sandbox

import (
	"slices"
	"testing"
)

func TestEnviron(t *testing.T) {
	t.Parallel()
	kept := []string{
		"PATH=/bin", "HOME=/h", "LANG=C", "LC_ALL=C", "TZ=UTC", "TMPDIR=/t", "UV_CACHE_DIR=/c", "UV_KEYRING_PROVIDER=subprocess",
		"PIP_INDEX_URL=https://pypi.test", "PYTHONHASHSEED=1", "SSL_CERT_FILE=/f", "REQUESTS_CA_BUNDLE=/f", "https_proxy=http://p",
		"HTTP_PROXY=http://p", "no_proxy=*", "CUDA_VISIBLE_DEVICES=0", "HF_HOME=/hf", "HF_HUB_OFFLINE=1", "XDG_CACHE_HOME=/x",
		"TOKENIZERS_PARALLELISM=false", "HF_ENDPOINT=a=b",
	}
	dropped := []string{
		"HF_TOKEN=s", "HF_TOKEN_PATH=/s", "HUGGING_FACE_HUB_TOKEN=s", "ANTHROPIC_API_KEY=s", "OPENAI_API_KEY=s", "GITHUB_TOKEN=s",
		"UV_PUBLISH_TOKEN=s", "UV_PUBLISH_PASSWORD=s", "UV_INDEX_ACME_PASSWORD=s", "PIP_SECRET=s", "hf_token=s", "XDG_API_KEY_OLD=s",
		"AWS_SECRET_ACCESS_KEY=s", "SLACK_BOT_TOKEN=s", "DATABASE_URL=postgres://u:p@h", "SSH_AUTH_SOCK=/s", "WANDB_API_KEY=s",
		"LD_PRELOAD=/x.so", "PYTHONSTARTUP=/x.py", "MY_OWN=1", "PATH", "", "=C:=C:\\",
	}
	got := Environ(slices.Concat(dropped, kept))
	if !slices.Equal(got, kept) {
		t.Errorf("got  %q\nwant %q", got, kept)
	}
	if Environ(nil) != nil {
		t.Error("something came from nothing")
	}
}

func TestSecretName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"HF_TOKEN": true, "MYTOKEN": true, "api_key": true, "STRIPE_KEYS": true, "DB_PASS": true, "PGPASSWORD": true,
		"GOOGLE_APPLICATION_CREDENTIALS": true, "SEED": false, "KEYBOARD": false, "TOKENIZER": false, "PASSES": false, "MONKEY_COUNT": false,
	} {
		if SecretName(name) != want {
			t.Errorf("SecretName(%q) is %v", name, !want)
		}
	}
}
