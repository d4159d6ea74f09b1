package picture_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"ml-intern/internal/llm"
	"ml-intern/internal/picture"
)

// folder has some pictures, and files that are none.
func folder(t testing.TB) picture.Finder {
	t.Helper()
	dir, home := t.TempDir(), t.TempDir()
	data := encoded(t, "image/png", drawn(4, 3, false))
	for name, text := range map[string]string{
		"plot.png": string(data), "a b.png": string(data), "it's (1).png": string(data), "sub/loss": string(data),
		"lie.png": "hello", "notes.md": "# notes", "jpeg.png": string(encoded(t, "image/jpeg", drawn(4, 3, false))), "torn.png": string(data[:20]),
		"wandb.": string(data),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "mine.gif"), encoded(t, "image/gif", drawn(4, 3, false)), 0o644); err != nil {
		t.Fatal(err)
	}
	held, err := picture.New("clipboard-1.png", data)
	if err != nil {
		t.Fatal(err)
	}
	return picture.Finder{Dir: dir, Home: home, Held: func(name string) *llm.Image {
		if name == held.Name {
			return held
		}
		return nil
	}}
}

// unspaced is such a folder whose path can be written without quotes.
func unspaced(t testing.TB) picture.Finder {
	t.Helper()
	f := folder(t)
	if strings.Contains(f.Dir, " ") {
		t.Skip("folders for temporary files have a space in their path here")
	}
	return f
}

func TestFind(t *testing.T) {
	t.Parallel()
	f := unspaced(t)
	for text, want := range map[string]string{
		"look at @plot.png":                     "plot.png",
		"look at @plot.png, and say":            "plot.png",
		"(see @plot.png).":                      "plot.png",
		"@plot.png @plot.png":                   "plot.png",
		`@"a b.png" and @'a b.png'`:             "a b.png",
		`@a\ b.png`:                             "a b.png",
		`@it\'s\ \(1\).png`:                     "it's (1).png",
		`@"it's (1).png"?`:                      "it's (1).png",
		"@sub/loss has no ending":               "sub/loss",
		"@wandb. has one dot":                   "wandb.",
		"compare @plot.png\n@jpeg.png":          "plot.png jpeg.png",
		"@~/mine.gif":                           "~/mine.gif",
		"@clipboard-1.png":                      "clipboard-1.png",
		"@notes.md @sub @sub/ @someone @":       "",
		"me@plot.png is mail":                   "",
		"plot.png":                              "",
		`@"plot.png`:                            "",
		"@lie.png":                              "!lie.png: no PNG, JPEG, GIF or WebP picture",
		"write it to @out.png":                  "!out.png: there is no such file",
		"@torn.png @plot.png":                   "plot.png !torn.png: read the header",
		"@" + filepath.Join(f.Dir, "plot.png"):  filepath.Join(f.Dir, "plot.png"),
		"@file://" + f.Dir + "/a%20b.png":       "file://" + f.Dir + "/a%20b.png",
		"@file://elsewhere" + f.Dir + "/a.webp": "!file://elsewhere" + f.Dir + "/a.webp: there is no such file",
	} {
		if runtime.GOOS == "windows" && (strings.Contains(text, "file://") || strings.Contains(text, `\`)) {
			continue
		}
		found, errs := f.Find(text)
		var got []string
		for _, p := range found {
			got = append(got, p.Name)
			if len(p.Data) == 0 || p.Width != 4 {
				t.Errorf("%q: got %s", text, p)
			}
		}
		for _, err := range errs {
			got = append(got, "!"+err.Error())
		}
		if words := strings.Join(got, " "); words != want && (!strings.Contains(want, "header") || !strings.HasPrefix(words, want)) {
			t.Errorf("%q: got %q, want %q", text, words, want)
		}
	}
}

// A prompt has a bounded number of pictures, and nothing that waits is opened.
func TestFindIsBounded(t *testing.T) {
	t.Parallel()
	f := folder(t)
	data := encoded(t, "image/png", drawn(4, 3, false))
	var text strings.Builder
	for i := range picture.MostFound + 1 {
		name := strings.Repeat("x", i+1) + ".png"
		if err := os.WriteFile(filepath.Join(f.Dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		text.WriteString("@" + name + " ")
	}
	if found, errs := f.Find(text.String()); len(found) != picture.MostFound || len(errs) != 1 {
		t.Errorf("%d pictures, %v", len(found), errs)
	}
	large, err := os.Create(filepath.Join(f.Dir, "large.png"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := large.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := large.Truncate(picture.MostFile + 1); err != nil {
		t.Fatal(err)
	}
	if err := large.Close(); err != nil {
		t.Fatal(err)
	}
	if found, errs := f.Find("@large.png @/dev/zero @/dev/stdin"); len(found) != 0 || len(errs) != 1 || !strings.Contains(errs[0].Error(), "more than 32 MB") {
		t.Errorf("got %v, %v", found, errs)
	}
}

func TestPasted(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("names of other systems")
	}
	f := unspaced(t)
	for text, want := range map[string]string{
		f.Dir + "/plot.png\n":                 "@plot.png",
		"'" + f.Dir + "/a b.png' ":            `@"a b.png"`,
		f.Dir + `/a\ b.png`:                   `@"a b.png"`,
		f.Dir + "/a b.png":                    `@"a b.png"`,
		f.Dir + `/it\'s\ \(1\).png`:           `@"it's (1).png"`,
		"file://" + f.Dir + "/a%20b.png":      `@"a b.png"`,
		f.Home + "/mine.gif":                  "@" + f.Home + "/mine.gif",
		"plot.png":                            "@plot.png",
		f.Dir + "/lie.png":                    "",
		f.Dir + "/notes.md":                   "",
		f.Dir + "/none.png":                   "",
		"plot.png is nice":                    "",
		f.Dir + "/plot.png\n" + f.Dir + "/x":  "",
		"":                                    "",
		strings.Repeat("x", 5000) + ".png":    "",
		"https://example.com/" + "/plot.png?": "",
	} {
		got := f.Pasted(text)
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if got != "" {
			if found, errs := f.Find("see " + got + " please"); len(found) != 1 || len(errs) > 0 {
				t.Errorf("%q is not found again: %v", got, errs)
			}
		}
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		string(encoded(t, "image/png", drawn(4, 3, false))): true, "\uFFFDPNG\r\n": true, "GIF89a…": true, "a\x00b": true,
		"": false, "hello": false, "PNG": false, "def f():\n\treturn 1\n": false, "ü": false,
	} {
		if got := picture.Raw(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// Whatever is typed, only what is there is found.
func FuzzFind(f *testing.F) {
	finder := folder(f)
	f.Add("look at @plot.png")
	f.Add(`@"a b.png" @a\ b.png @'x`)
	f.Add("@file://%zz @~/.. @\\")
	f.Fuzz(func(t *testing.T, text string) {
		found, _ := finder.Find(text)
		for _, p := range found {
			if len(p.Data) == 0 {
				t.Errorf("%q: %s is empty", text, p)
			}
		}
		finder.Pasted(text)
		picture.Raw(text)
	})
}
