package space_test

import (
	"testing"

	"ml-intern/internal/hub/hubserver/space"
)

func TestRecipe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"FROM x\nCOPY --chmod=755 ml-intern /usr/local/bin/ml-intern\nCMD [\"ml-intern\", \"sandbox\", \"serve\"]":            "ml-intern",
		"from x\r\ncopy a/b /bin/\r\nCMD [\"/bin/b\",\"sandbox\", \\\n \"serve\", \"--addr\", \"0.0.0.0:7860\"]\r\nUSER 1000": "a/b",
		"COPY --from=other ml-intern /bin/ml-intern\nCMD [\"ml-intern\",\"sandbox\",\"serve\"]":                               "",
		"COPY . /app\nCMD [\"python\", \"app.py\"]":                                                                           "",
		"COPY ml-intern /bin/ml-intern\nCMD ml-intern sandbox serve":                                                          "",
		"COPY ml-intern /bin/ml-intern\nCMD [\"ml-intern\", \"hub\", \"serve\"]":                                              "",
		"": "",
	} {
		if got := space.ReadRecipe(text).Sandbox(); got != want {
			t.Errorf("%q runs %q, want %q", text, got, want)
		}
	}
}

func FuzzRecipe(f *testing.F) {
	f.Add("COPY a b\nCMD [\"b\",\"sandbox\",\"serve\"]")
	f.Fuzz(func(_ *testing.T, text string) { space.ReadRecipe(text).Sandbox() })
}
