package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/secret"
)

// rnd is a text that no person would write, always the same for its number.
func rnd(n int, seed byte) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	r := rand.New(rand.NewChaCha8([32]byte{seed}))
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

// pem is a private key that opens nothing.
func pem(label, end string) string {
	var b strings.Builder
	b.WriteString("-----BEGIN " + label + "-----" + end)
	for i := range 12 {
		b.WriteString(rnd(64, byte(i)) + end)
	}
	return b.String() + "-----END " + label + "-----"
}

// jwt is a token of JSON that nobody has signed.
func jwt() string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc([]byte(`{"sub":"1234567890"}`)) + "." + rnd(43, 9)
}

// keys are texts with a secret, and what is left of them.
func keys() map[string]string {
	const x = secret.Redacted
	return map[string]string{
		"export HF_TOKEN=hf_" + rnd(34, 1):                           "export HF_TOKEN=" + x,
		"api_org_" + rnd(34, 2) + " ":                                x + " ",
		"sk-ant-api03-" + rnd(40, 3) + "-_" + rnd(40, 4) + "AA\n":    x + "\n",
		"'sk-proj-" + rnd(48, 5) + "'":                               "'" + x + "'",
		"sk-or-v1-" + strings.Repeat("0a1b2c3d", 8):                  x,
		"key: sk-" + rnd(48, 6):                                      "key: " + x,
		"https://ghp_" + rnd(36, 7) + "@github.com/a/b":              "https://" + x + "@github.com/a/b",
		"github_pat_" + rnd(22, 8) + "_" + rnd(59, 9):                x,
		"AKIA" + strings.ToUpper(rnd(16, 10)):                        x,
		"aws_secret_access_key = " + rnd(40, 11):                     "aws_secret_access_key = " + x,
		"AWS_SECRET_ACCESS_KEY=\"" + rnd(40, 12) + "\"":              "AWS_SECRET_ACCESS_KEY=\"" + x + "\"",
		"AccountName=a;AccountKey=" + rnd(86, 13) + "==;":            "AccountName=a;AccountKey=" + x + ";",
		"AIza" + rnd(35, 14):                                         x,
		"ya29." + rnd(60, 15):                                        x,
		"GOCSPX-" + rnd(28, 16):                                      x,
		"xoxb-" + "1234567890-" + rnd(24, 17):                        x,
		"xapp-1-" + rnd(40, 18):                                      x,
		"glpat-" + rnd(20, 19) + ".":                                 x + ".",
		"npm_" + rnd(36, 20) + "\"":                                  x + "\"",
		"pypi-AgEIcHlwaS5vcmc" + rnd(60, 21):                         x,
		"Authorization: Bearer " + rnd(40, 22) + "==":                "Authorization: Bearer " + x,
		"t=" + jwt() + "&":                                           "t=" + x + "&",
		pem("RSA PRIVATE KEY", "\n") + "\n":                          x + "\n",
		`"private_key": "` + pem("PRIVATE KEY", `\n`) + `\n"`:        `"private_key": "` + x + `\n"`,
		pem("OPENSSH PRIVATE KEY", "\r\n"):                           x,
		`{"password": "` + "x7" + rnd(14, 23) + `", "user": "me"}`:   `{"password": "` + x + `", "user": "me"}`,
		"api_key='" + rnd(24, 24) + "'":                              "api_key='" + x + "'",
		`client = Client(auth_token = "` + rnd(30, 25) + `")`:        `client = Client(auth_token = "` + x + `")`,
		`"{\"clientSecret\": \"` + rnd(20, 26) + `\"}"`:              `"{\"clientSecret\": \"` + x + `\"}"`,
		`{"a":"x\nhf_` + rnd(34, 27) + `"}`:                          `{"a":"x\n` + x + `"}`,
		"?token%3Dhf_" + rnd(34, 28) + "&a":                          "?token%3D" + x + "&a",
		"DB_PASSWORD: \"" + "p4ssW0rd!Xy9z\"":                        "DB_PASSWORD: \"" + x + "\"",
		"gsk_" + rnd(52, 31) + " ":                                   x + " ",
		"r8_" + rnd(37, 32):                                          x,
		"xai-" + rnd(80, 33):                                         x,
		"pplx-" + rnd(48, 34):                                        x,
		"nvapi-" + rnd(30, 35) + "-_" + rnd(32, 36):                  x,
		"sk_live_" + rnd(24, 37):                                     x,
		"WANDB_API_KEY=" + strings.Repeat("0a1b2c3d", 5) + "\n":      "WANDB_API_KEY=" + x + "\n",
		"export MISTRAL_API_KEY=" + rnd(32, 38) + " && python3 x.py": "export MISTRAL_API_KEY=" + x + " && python3 x.py",
		`{"command":"a\nDB_PASSWORD=` + rnd(20, 39) + `\nb"}`:        `{"command":"a\nDB_PASSWORD=` + x + `\nb"}`,
		"a hf_" + rnd(34, 29) + " and sk-ant-" + rnd(40, 30) + " b.": "a " + x + " and " + x + " b.",
	}
}

// code is what models and people write all day, and holds no secret.
const code = `
tokenizer.pad_token = tokenizer.eos_token
pad_token="<pad>", eos_token="<|endoftext|>", unk_token='[UNK]', bos_token="<s>"
{"token": "Ġworld", "id": 1002, "special_token": "<|reserved_special_token_250|>", "mask_token": "<mask_1>"}
token = os.environ["HF_TOKEN"]; api_key = os.getenv("OPENAI_API_KEY")
api_key="${API_KEY}", password = "{{ password }}", secret="$(cat /run/secrets/x)", token=f"{token}"
api_key = "your-api-key-here-12345"; password: "changeme"; token = "xxxxxxxxxxxxxxxx1"; secret = "****************"
hf_hub_download(repo_id="meta-llama/Llama-3.1-8B", token=None); hf_transfer_enabled_for_all_the_downloads
pip install sk-learn-contrib sk-learn-pipeline-v2-with-many-words-and-1-number; task-aware-model risk-1234-abc
"next_page_token": "CiAKGjBpNDd2Nmp2Zml2cXRwYjBpOXA", "continuation_token": "a1B2c3D4e5F6g7H8"
commit 9fceb02d0ae598e95dc970b74767f19372d61af8, sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
uuid 550e8400-e29b-41d4-a716-446655440000 token="550e8400-e29b-41d4-a716-446655440000" revision_token='9fceb02d0ae598e95dc970b74767f19372d61af8'
"-----BEGIN PRIVATE KEY-----" in text; "-----BEGIN CERTIFICATE-----\nMIIB"; # ----------------------------------------
if re.match(r"Bearer [A-Za-z0-9]+", header): raise Unauthorized("bearer authentication-is-required-for-all-requests")
num_tokens = "1234567890123"; max_new_tokens="2048"; password_file: "/run/secrets/db-password-v2"
key = "model.layers.0.self_attn.q_proj.weight"; secret_name = "projects/123456/secrets/db"; access_key: "s3://bucket/Key1"
{"model": "gpt-4o-2024-08-06", "token_type": "bearer", "expires_in": 3600, "tokenizer_class": "Qwen2TokenizerFast"}
tokenizer_token = "llama3tokenizer1"; token="my-org/my-model-7b-v0.3"; password = getpass.getpass("Password: ")
eyJ is how base64 of JSON begins; eyJhbGciOi.short.x; AKIA is a prefix; AIza too; ghp_ and npm_config_registry; xoxb- tokens
API_TOKEN=$OTHER_TOKEN1; MY_SECRET=$(cat x1y2z3a4b5c6d7e8); HF_TOKEN=your-token-goes-here-1; PAD_TOKEN=50256; MODEL_TOKEN=a1b2c3d4e5f6a7b8c9d0
SECRET_KEY=os.environ[A1b2C3d4E5f6G7h8]; self.API_KEY=config.get_api_key_v2(1); STATIC_TOKEN=model-7b-instruct-v0.2-awq; xai-org, gsk_x, r8_ram, nvapi-docs
secret: "projects/my-project/secrets/db-pass/versions/3"; "apiKey": "REPLACE_ME_WITH_KEY_1"
`

func TestText(t *testing.T) {
	t.Parallel()
	var r secret.Redactor
	for text, want := range keys() {
		if got := r.Text(text); got != want {
			t.Errorf("%q\n gives %q\n  want %q", text, got, want)
		}
		if !r.Holds(text) {
			t.Errorf("%q holds none", text)
		}
	}
	for line := range strings.Lines(code) {
		if got := r.Text(line); got != line {
			t.Errorf("%q\nis changed to %q", line, got)
		}
	}
}

// The values that the program knows go in whatever way they are written.
func TestValues(t *testing.T) {
	t.Parallel()
	value := "pa\"ss wörd/&+" + "zebra"
	r := secret.New("short", value, " "+"trimmed-value\n", "")
	b, _ := json.Marshal(value)
	inner := string(b[1 : len(b)-1])
	for text, want := range map[string]string{
		"a " + value + " b": "a [redacted] b", "short": "short", "x trimmed-value y": "x [redacted] y", `{"a":"` + inner + `"}`: `{"a":"[redacted]"}`,
		"?q=" + url.QueryEscape(value) + "&x": "?q=[redacted]&x", "/" + url.PathEscape(value) + "/": "/[redacted]/",
		"?q=" + strings.ToLower(url.QueryEscape(value)): "?q=[redacted]",
		"<b>" + html.EscapeString(value) + "</b>":       "<b>[redacted]</b>", `{"a":"` + strings.ReplaceAll(inner, "/", `\/`) + `"}`: `{"a":"[redacted]"}`,
	} {
		if got := r.Text(text); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
	for before := range 7 {
		for after := range 4 {
			plain := strings.Repeat("u", before) + value + strings.Repeat(":", after)
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
				text := "Basic " + enc.EncodeToString([]byte(plain))
				got := r.Text(text)
				if !strings.Contains(got, "[redacted]") || len(got) > len("Basic [redacted]")+before*2+after*2+8 {
					t.Errorf("%s gives %s", text, got)
				}
			}
		}
	}
	if got := secret.New("hunter-2").Text(base64.StdEncoding.EncodeToString([]byte("me:hunter-2"))); !strings.Contains(got, "[redacted]") {
		t.Errorf("a short value in base64 stays: %s", got)
	}
	if got := (&secret.Redactor{}).Text(value); got != value {
		t.Error(got)
	}
}

// stream passes a text in pieces.
func stream(r *secret.Redactor, text string, size func() int) string {
	s := r.Stream()
	var b strings.Builder
	for len(text) > 0 {
		n := min(len(text), max(1, size()))
		b.WriteString(s.Next(text[:n]))
		text = text[n:]
	}
	b.WriteString(s.End())
	return b.String()
}

// A secret that comes in pieces goes as a whole one does.
func TestStream(t *testing.T) {
	t.Parallel()
	value := "pa\"ss wörd/&+" + "zebra"
	r := secret.New(value)
	texts := []string{code, value + value, "x " + base64.StdEncoding.EncodeToString([]byte("user:"+value))}
	for text := range keys() {
		texts = append(texts, text, "before "+text+" after "+text)
	}
	for _, text := range texts {
		want := r.Text(text)
		for _, size := range []int{1, 2, 3, 7, 50} {
			if got := stream(r, text, func() int { return size }); got != want {
				t.Errorf("%q in pieces of %d\n gives %q\n  want %q", text, size, got, want)
			}
		}
	}
}

// Text that holds no secret is held back by no more than a few bytes.
func TestStreamHoldsLittle(t *testing.T) {
	t.Parallel()
	s := secret.New("a-known-value-of-this-program").Stream()
	in, out := 0, 0
	for line := range strings.Lines(strings.Repeat("Now the model trains: loss 0.532, step 120 of 4000. The learning rate is 2e-5.\n", 20)) {
		for i := range line {
			in++
			out += len(s.Next(line[i : i+1]))
			if in-out > 8 {
				t.Fatalf("%d bytes are held at %q", in-out, line[:i+1])
			}
		}
		if in-out > 0 {
			t.Errorf("%d bytes are held at the end of a line", in-out)
		}
	}
	long := strings.Repeat("x", 100_000)
	if got := stream(&secret.Redactor{}, "-----BEGIN PRIVATE KEY-----\n"+long+" hf_"+long, func() int { return 1000 }); len(got) > 70_000 && !strings.Contains(got, secret.Redacted) {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzStream(f *testing.F) {
	for text := range keys() {
		f.Add(text, uint64(1))
	}
	f.Add(code, uint64(2))
	r := secret.New("a value of secrets", "another+one/with=signs")
	f.Add("x a value of secrets a valu", uint64(3))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if len(text) > 8<<10 {
			return // longer ones may be passed on in the middle of a key
		}
		want := r.Text(text)
		rng := rand.New(rand.NewPCG(seed, 0))
		if got := stream(r, text, func() int { return rng.IntN(20) }); got != want {
			t.Errorf("%q\n gives %q\n  want %q", text, got, want)
		}
		if strings.Contains(want, "a value of secrets") {
			t.Errorf("%q", want)
		}
		if again := r.Text(want); len(again) > len(want)+100 {
			t.Errorf("%q grows to %q", want, again)
		}
	})
}

// testKeys are what is in tests of this repository, and in those of Python.
var testKeys = []string{"hf_", "ghp_0123", "AKIAABCDEFGH", "xoxb-123456789012", "xoxb-1234567890", "xoxb-1111111111", "xoxb-2222222222", "xoxb-3333333333", "token-of-the-desk-5a1f", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "hook-secret-0123", "=0123456789abcdef", "-----BEGIN", "sk-test-0123", "sk-planted-0123", "Bearer abcdef", "sk-ant-0123", "sk-or-v1-0123", "hunter2hunter2x9"}

// Code without secrets stays as it is: this repository, and what Python comes
// with.
func TestCodeStays(t *testing.T) {
	t.Parallel()
	var r secret.Redactor
	files := 0
	check := func(root string, tests bool) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 || d.Name() == "site-packages" || d.Name() == "__pycache__"):
				return filepath.SkipDir
			case !d.Type().IsRegular() || !strings.Contains(".go .py .md .txt .txtar .yaml .json .sh", filepath.Ext(path)) || filepath.Ext(path) == "":
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files++
			text := string(data)
			if tests {
				for _, key := range testKeys {
					text = strings.ReplaceAll(text, key, "")
				}
			}
			if got := r.Text(text); got != text {
				t.Errorf("%s is changed, at %q", path, difference(text, got))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	check(filepath.Join("..", ".."), true)
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import sysconfig; print(sysconfig.get_paths()['stdlib'])").Output(); err == nil && !testing.Short() {
		check(strings.TrimSpace(string(out)), false)
	}
	t.Log(files, "files")
	if files < 500 {
		t.Errorf("only %d files were found", files)
	}
}

func difference(a, b string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[max(0, i-40):min(len(a), i+60)]
		}
	}
	return ""
}

// logText is a megabyte such as jobs write it.
func logText() string {
	var b strings.Builder
	r := rand.New(rand.NewPCG(1, 2))
	for b.Len() < 1<<20 {
		switch r.IntN(4) {
		case 0:
			b.WriteString(`{"step": 120, "loss": 0.5321, "learning_rate": 2e-05, "grad_norm": 1.73, "epoch": 0.12}` + "\n")
		case 1:
			b.WriteString("2026-01-02 03:04:05,678 - INFO - transformers.trainer - Saving model checkpoint to /data/out/checkpoint-500\n")
		case 2:
			b.WriteString(" 12%|█▏        | 480/4000 [03:12<23:11,  2.53it/s, loss=0.532, tokens_per_second=1234]\n")
		default:
			b.WriteString("Traceback (most recent call last):\n  File \"/workspace/train_model.py\", line 120, in <module>\n    trainer.train(resume_from_checkpoint=args.resume)\n")
		}
	}
	return b.String()
}

func BenchmarkText(b *testing.B) {
	text := logText()
	r := secret.New(rnd(40, 1), rnd(37, 2), "hf_"+rnd(34, 3), rnd(64, 4), rnd(20, 5), "sk-"+rnd(48, 6))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if r.Text(text) != text {
			b.Fatal("changed")
		}
	}
}
