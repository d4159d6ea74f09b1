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
