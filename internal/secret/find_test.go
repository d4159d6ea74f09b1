package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"ml-intern/internal/secret"
)

// without is a text without what Find finds in it.
func without(r *secret.Redactor, text string) string {
	var b strings.Builder
	from := 0
	for _, f := range r.Find(text) {
		b.WriteString(text[from:f.Begin] + "[" + f.Kind + "]")
		from = f.End
	}
	return b.String() + text[from:]
}

func TestFind(t *testing.T) {
	t.Parallel()
	const value = "correct-horse+battery/staple"
	r := secret.New(value)
	half := len(value) / 2
	lines := base64.StdEncoding.EncodeToString([]byte("user:" + value + " and more words behind it"))
	x := "[" + secret.KnownValue + "]"
	for text, want := range map[string]string{
		"a " + value + " b": "a " + x + " b",
		"k = '" + value[:half] + "' + \"" + value[half:] + "\";":    "k = '" + x + "\";",
		value[:half] + "\n  " + value[half:] + ".":                  x + ".",
		"\x1b[31m" + value[:4] + "\x1b[0m" + value[4:] + "!":        "\x1b[31m" + x + "!",
		`{"a":"` + value[:half] + `\n\t` + value[half:] + `"}`:      `{"a":"` + x + `"}`,
		`"\\u001b[31m` + value[:4] + `\\u001b[0m` + value[4:] + `"`: `"\\u001b[31m` + x + `"`,
		strings.Join(strings.Split(value, ""), ", "):                x,
		value[:half] + "\u200b" + value[half:]:                      x,
		"hex " + hex.EncodeToString([]byte(value)) + ".":            "hex " + x + ".",
		"HF_TOKEN=hf_" + rnd(34, 1) + " ":                           "HF_TOKEN=[Hugging Face token] ",
		"AKIA" + strings.ToUpper(rnd(16, 10)):                       "[AWS key]",
		"t=" + jwt():                                                "t=[web token (JWT)]",
		pem("RSA PRIVATE KEY", "\n"):                                "[private key]",
		`{"password": "x7` + rnd(14, 23) + `"}`:                     `{"password": "[password or key by its name]"}`,
		"correct horse, but no battery / staple":                    "correct horse, but no battery / staple",
		"":                                                          "",
	} {
		if got := without(r, text); got != want {
			t.Errorf("%q\n got %q\nwant %q", text, got, want)
		}
	}
	if got := without(r, lines[:20]+"\n"+lines[20:]); strings.Contains(got, lines[20:36]) || !strings.Contains(got, x) {
		t.Errorf("base64 over two lines: %q", got)
	}
	const byName = "[password or key by its name]"
	hexes := strings.Repeat("0a1b2c3d", 5)
	for text, want := range map[string]string{
		"wandb login " + hexes + "\n":                                                                 "wandb login " + byName + "\n",
		"machine api.wandb.ai login user password " + hexes:                                           "machine api.wandb.ai login user password " + byName,
		`{"username":"ana","key":"` + hexes[:32] + `"}`:                                               `{"username":"ana","key":"` + byName + `"}`,
		"secret_key: " + rnd(30, 1) + "\nb":                                                           "secret_key: " + byName + "\nb",
		"x --api-key " + rnd(30, 2) + " --n 3":                                                        "x --api-key " + byName + " --n 3",
		"export DB_PASS=" + rnd(20, 3) + ";":                                                          "export DB_PASS=" + byName + ";",
		"PGPASSWORD=" + "x7" + rnd(8, 4) + " psql":                                                    "PGPASSWORD=" + byName + " psql",
		"postgres://ana:" + "x7" + rnd(10, 5) + "@db.example.com/x":                                   "postgres://ana:" + byName + "@db.example.com/x",
		"https://" + rnd(40, 6) + "@git.example.com/a":                                                "https://" + byName + "@git.example.com/a",
		"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ana:"+rnd(12, 7))) + "\n": "Authorization: Basic " + byName + "\n",
		"curl -u ana:" + "x7" + rnd(16, 8) + " https://x":                                             "curl -u ana:" + byName + " https://x",
		"https://hooks.slack.com/services/T0AB/B0CD/" + rnd(24, 9):                                    "https://hooks.slack.com/services/" + byName,
		"https://discord.com/api/webhooks/1234567890/" + rnd(68, 10):                                  "https://discord.com/api/webhooks/" + byName,
		"bot 1234567890:" + rnd(35, 11) + " ":                                                         "bot " + byName + " ",
		"SG." + rnd(22, 12) + "." + rnd(43, 13):                                                       byName,
		"dapi" + hexes[:32]:                                                                           byName,
		"see https://user:password@example.com, git@github.com:a/b.git":                               "see https://user:password@example.com, git@github.com:a/b.git",
		"the secret of a good model, the token count 12345678901234":                                  "the secret of a good model, the token count 12345678901234",
		"password: str = getpass.getpass2(x)\nkey = layers.0.q_proj_1":                                "password: str = getpass.getpass2(x)\nkey = layers.0.q_proj_1",
		"basic understanding-of-the-basics; 12:30:45; 12345678:abc":                                   "basic understanding-of-the-basics; 12:30:45; 12345678:abc",
	} {
		if got := without(r, text); got != want {
			t.Errorf("%q\n got %q\nwant %q", text, got, want)
		}
	}
	for text := range keys() {
		if len(r.Find(text)) == 0 {
			t.Errorf("nothing is found in %q", text)
		}
	}
	if got := r.Find(code); len(got) > 0 {
		t.Errorf("code holds secrets: %+v", got)
	}
}

// What is found lies in the text, in order and apart, whatever the text is.
func FuzzFind(f *testing.F) {
	f.Add("a hf_", "correct horse", "\x1b[")
	f.Add("\xc2", "\xe2\x80", "+''\\n")
	f.Fuzz(func(t *testing.T, before, value, after string) {
		r := secret.New(value)
		text := before + value + after
		at := 0
		for _, s := range r.Find(text) {
			if s.Begin < at || s.End <= s.Begin || s.End > len(text) || s.Kind == "" {
				t.Fatalf("%+v in %d bytes, after %d", s, len(text), at)
			}
			at = s.End
		}
	})
}
