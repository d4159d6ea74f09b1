package session_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"ml-intern/internal/session"
)

func TestTitle(t *testing.T) {
	t.Parallel()
	for prompt, want := range map[string]string{
		"train a model":                               "train a model",
		"\n\n  train\ta   model \nand more":           "train a model",
		"# Task\n\nmore":                              "Task",
		"> - **Fix** the loader":                      "Fix the loader",
		"please, could you compare two runs?":         "Compare two runs?",
		"Hi! Can you please predict churn":            "Predict churn",
		"please":                                      "please",
		"...\n---\ncount rows":                        "count rows",
		"```python\nprint(1)\n```":                    "print(1)",
		"hiding data from the test split":             "hiding data from the test split",
		"":                                            "",
		"\x1b[31mred\x1b[0m text\u202e":               "[31mred[0m text",
		"日本語のデータ":                                     "日本語のデータ",
		"Look at the table of customers. " + long:     "Look at the table of customers",
		"word " + strings.Repeat("another ", 20):      "word another another another another another another another another another…",
		strings.Repeat("x", 200):                      strings.Repeat("x", 79) + "…",
		strings.Repeat("é", 80):                       strings.Repeat("é", 80),
		"1. first do this\n2. then that":              "first do this",
		"I would like you to fine-tune a small model": "Fine-tune a small model",
		"#hashtag without a space is no heading":      "#hashtag without a space is no heading",
		"hi there":                                    "hi there",
		"please 予測して":                                 "予測して",
		"see __init__ and **kwargs":                   "see __init__ and **kwargs",
		"so please\ntrain it":                         "train it",
	} {
		if got := session.Title(prompt); got != want {
			t.Errorf("%q gives %q, want %q", prompt, got, want)
		}
	}
}

const long = "Then train on it, and tell me what you think of the result of the whole of it, please"

func FuzzTitle(f *testing.F) {
	f.Add("# please do it\n" + long)
	f.Fuzz(func(t *testing.T, prompt string) {
		got := session.Title(prompt)
		if utf8.RuneCountInString(got) > 80 || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x1b") {
			t.Errorf("%q gives %q", prompt, got)
		}
	})
}

func TestCheckTitle(t *testing.T) {
	t.Parallel()
	if got, err := session.CheckTitle("  a \n b\x1b "); got != "a b" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", " \n", strings.Repeat("x", 161)} {
		if got, err := session.CheckTitle(bad); err == nil {
			t.Errorf("%q was taken as %q", bad, got)
		}
	}
}
