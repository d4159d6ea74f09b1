package feature_test

import (
	"encoding/json"
	"testing"

	"ml-intern/internal/hub/feature"
)

func TestTypes(t *testing.T) {
	t.Parallel()
	cases := []struct{ in, want string }{
		{`{"dtype":"string","_type":"Value"}`, "string"},
		{`{"dtype":"string","id":null,"_type":"Value"}`, "string"},
		{`{"dtype":"string"}`, "string"},
		{`"int64"`, "int64"},
		{`{"names":["neg","pos"],"_type":"ClassLabel"}`, "label<neg=0, pos=1>"},
		{`{"names":{"1":"pos","0":"neg"},"_type":"ClassLabel"}`, "label<neg=0, pos=1>"},
		{`{"num_classes":9,"names":["1","2","3","4","5","6"],"_type":"ClassLabel"}`, "label<6 classes>"},
		{`[{"role":{"dtype":"string"},"content":{"dtype":"string"}}]`, "list<struct<role: string, content: string>>"},
		{`{"feature":{"dtype":"int32","_type":"Value"},"_type":"List"}`, "list<int32>"},
		{`{"feature":{"dtype":"int32","_type":"Value"},"length":3,"_type":"Sequence"}`, "list<int32>[3]"},
		{`{"feature":{"a":{"dtype":"int32","_type":"Value"}},"length":-1,"_type":"Sequence"}`, "struct<a: list<int32>>"},
		{`{"feature":{"a":{"dtype":"int32","_type":"Value"}},"_type":"List"}`, "list<struct<a: int32>>"},
		{`{"feature":{"dtype":"float32","_type":"Value"},"_type":"LargeList"}`, "list<float32>"},
		{`{"_type":"Image"}`, "image"},
		{`{"sampling_rate":16000,"_type":"Audio"}`, "audio"},
		{`{"languages":["en","fr"],"_type":"Translation"}`, "translation<en, fr>"},
		{`{"shape":[2,null],"dtype":"float32","_type":"Array2D"}`, "array2d<float32>[2×0]"},
		{`{"_type":{"dtype":"string","_type":"Value"},"dtype":{"dtype":"int8","_type":"Value"}}`, "struct<_type: string, dtype: int8>"},
		{`{"_type":"Hologram"}`, "hologram"},
		{`{}`, "struct<>"},
	}
	for _, c := range cases {
		var typ feature.Type
		if err := json.Unmarshal([]byte(c.in), &typ); err != nil || typ.String() != c.want {
			t.Errorf("%s is %q, %v; want %q", c.in, typ, err, c.want)
			continue
		}
		out, err := json.Marshal(typ)
		var again feature.Type
		if err != nil || json.Unmarshal(out, &again) != nil || again.String() != c.want {
			t.Errorf("%s is written as %s (%q), %v", c.in, out, again, err)
		}
	}
}

func TestFeaturesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	byName := `{"z":{"dtype":"string","_type":"Value"},"m":[{"b":{"dtype":"string"},"a":[{"dtype":"int8"}]}],"a":{"_type":"Image"}}`
	listed := `[{"feature_idx":0,"name":"z","type":"string"},{"feature_idx":1,"name":"m","type":[{"b":"string","a":["int8"]}]},{"feature_idx":2,"name":"a","type":{"_type":"Image"}}]`
	want := "z: string\nm: list of struct\n  b: string\n  a: list<int8>\na: image\n"
	for _, in := range []string{byName, listed} {
		var f feature.Features
		if err := json.Unmarshal([]byte(in), &f); err != nil || f.Tree() != want {
			t.Errorf("%s reads as %v:\n%s", in, err, f.Tree())
		}
	}
}

func FuzzFeatures(f *testing.F) {
	for _, seed := range []string{`{"a":[{"b":"c"}]}`, `[{"name":"x","type":{"_type":"Sequence","feature":{"a":"b"}}}]`, `{"a":{"_type":"List"}}`, `null`, `{"a":{"_type":{},"dtype":"x"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v feature.Features
		if json.Unmarshal(data, &v) != nil {
			return
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var again feature.Features
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s is written as %s: %v", data, out, err)
		}
		_ = v.Tree()
	})
}
