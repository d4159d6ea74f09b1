package paper_test

import (
	"errors"
	"testing"

	"ml-intern/internal/paper"
)

func TestParseID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2305.18290":                                       "2305.18290",
		" 2305.18290v3 ":                                   "2305.18290v3",
		"0704.0001":                                        "0704.0001",
		"arXiv:2305.18290v2":                               "2305.18290v2",
		"arXiv: 2305.18290":                                "2305.18290",
		"arXiv:2305.18290v2 [cs.LG]":                       "2305.18290v2",
		"https://arxiv.org/abs/2305.18290":                 "2305.18290",
		"http://www.arxiv.org/pdf/2305.18290v1.pdf":        "2305.18290v1",
		"https://export.arxiv.org/pdf/2305.18290.pdf":      "2305.18290",
		"arxiv.org/html/2305.18290v3#S2.SS1":               "2305.18290v3",
		"https://ar5iv.labs.arxiv.org/html/1706.03762?x=1": "1706.03762",
		"https://ar5iv.org/abs/1706.03762":                 "1706.03762",
		"https://huggingface.co/papers/2305.18290":         "2305.18290",
		"https://hf.co/papers/2305.18290.md":               "2305.18290",
		"10.48550/arXiv.2305.18290":                        "2305.18290",
		"https://doi.org/10.48550/arXiv.2305.18290":        "2305.18290",
		"doi:10.48550/ARXIV.HEP-TH/9901001":                "hep-th/9901001",
		"hep-th/9901001":                                   "hep-th/9901001",
		"https://arxiv.org/abs/hep-th/9901001v2":           "hep-th/9901001v2",
		"math.GT/0309136":                                  "math/0309136",
		"cond-mat/0011267":                                 "cond-mat/0011267",
	} {
		id, err := paper.ParseID(text)
		if err != nil || id.String() != want {
			t.Errorf("ParseID(%q) = %q, %v; want %q", text, id, err, want)
		}
	}
	for _, text := range []string{
		"", "abc", "Attention is all you need", "2313.18290", "2305.182901", "2305.18290v0", "2305/18290", "hep-th/99010011",
		"https://evil.example/2305.18290", "10.1000/2305.18290", "../2305.18290", "2305.18290/../../x", "2305.18290v2x",
	} {
		if id, err := paper.ParseID(text); !errors.Is(err, paper.ErrBadID) {
			t.Errorf("ParseID(%q) = %q, %v; want an error", text, id, err)
		}
	}
}
