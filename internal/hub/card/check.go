package card

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// A Problem is something wrong with metadata. Warnings do not keep the Hub
// from taking the card.
type Problem struct {
	Key     string // "" for the metadata as a whole
	Message string
	Hint    string // what to write instead, "" if that is not known
	Warning bool
}

// String is the problem in a sentence, with the hint.
func (p Problem) String() string {
	if p.Hint == "" {
		return p.Message
	}
	return p.Message + " (" + p.Hint + ")"
}

// A check collects problems.
type check struct {
	data map[string]any
	out  []Problem
}

func (c *check) wrong(key, hint, format string, args ...any) {
	c.out = append(c.out, Problem{Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (c *check) warn(key, hint, format string, args ...any) {
	c.out = append(c.out, Problem{Key: key, Message: fmt.Sprintf(format, args...), Hint: hint, Warning: true})
}

const maxProblems = 50

// Check holds the metadata of a repository of a type (model, dataset or space)
// against the rules by which the Hub takes them.
func (c Card) Check(typ string) []Problem {
	data, err := c.Data()
	if err != nil {
		text := strings.TrimPrefix(err.Error(), ErrUnreadable.Error()+": ")
		return []Problem{{Message: "Invalid YAML metadata in README.md: " + text}}
	}
	if len(data) == 0 {
		return []Problem{{Message: "empty or missing yaml metadata in repo card", Warning: true}}
	}
	k := &check{data: data}
	k.shapes()
	k.license()
	k.languages()
	switch typ {
	case "space":
		k.space()
	case "dataset":
		k.list("task_categories", taskWords(), "task category")
		k.list("size_categories", sizes[:], "size category")
		k.dataset()
	default:
		k.repositories("base_model", "model")
		k.oneOf("pipeline_tag", taskWords(), "pipeline tag")
		k.index()
	}
	k.repositories("datasets", "dataset")
	k.unknownKeys()
	return k.out[:min(len(k.out), maxProblems)]
}

// Failed reports whether one of the problems keeps the Hub from taking a card.
func Failed(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return !p.Warning })
}

// The keys that the Hub reads, by what they must be.
var (
	wordKeys = [...]string{"license_name", "license_link", "library_name", "pipeline_tag", "pretty_name", "sdk", "title", "app_file", "thumbnail", "base_model_relation"}
	listKeys = [...]string{"tags", "license", "language", "datasets", "metrics", "base_model", "task_categories", "size_categories", "new_version"}
)

func (c *check) shapes() {
	for _, key := range wordKeys {
		switch v := c.data[key].(type) {
		case nil, string:
		default:
			c.wrong(key, "", "%q must be a string, not %v", key, v)
		}
	}
	for _, key := range listKeys {
		if _, ok := words(c.data[key]); !ok {
			c.wrong(key, "", "%q must be a string or a list of strings", key)
		}
	}
}

// words are what a key says, nothing if it has the wrong shape.
func (c *check) words(key string) []string {
	list, _ := words(c.data[key])
	return list
}

func (c *check) license() {
	list := c.words("license")
	for _, id := range list {
		if slices.Contains(licenses[:], id) {
			continue
		}
		hint := near(id, licenses[:])
		if hint == "" {
			hint = "write other, with license_name and license_link"
		}
		c.wrong("license", hint, "%q must be one of the Hub's licenses, not %q", "license", id)
	}
	if name, _ := c.data["license_name"].(string); name == "" && slices.Contains(list, "other") {
		c.warn("license_name", "", `a license that is "other" should have a license_name and a license_link`)
	}
}

var languageCode = lazyregexp.New(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

func (c *check) languages() {
	for i, code := range c.words("language") {
		if id, ok := languages[strings.ToLower(code)]; ok {
			c.wrong("language", "write "+scalarText(id), "\"language[%d]\" must be a code of ISO 639, not %q", i, code)
			continue
		}
		switch {
		case slices.Contains([]string{"code", "multilingual"}, code) || languageCode.MatchString(code):
		case code == "true" || code == "false":
			c.warn("language", `write "no" in quotes for Norwegian`, "\"language[%d]\" is read as a truth", i)
		case languageCode.MatchString(strings.ToLower(code)):
			c.wrong("language", "write "+strings.ToLower(code), "\"language[%d]\" must only contain lowercase characters", i)
		default:
			c.wrong("language", "", "\"language[%d]\" must be a code of ISO 639, not %q", i, code)
		}
	}
}

var repoID = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,95})?$`)

// repositories checks a list of ids of models or data sets.
func (c *check) repositories(key, kind string) {
	for _, id := range c.words(key) {
		if repoID.MatchString(id) && len(id) <= 96 && !strings.Contains(id, "..") && !strings.Contains(id, "--") {
			continue
		}
		hint := ""
		for _, prefix := range []string{"https://huggingface.co/datasets/", "https://huggingface.co/", "https://hf.co/"} {
			if rest, ok := strings.CutPrefix(id, prefix); ok && repoID.MatchString(strings.Trim(rest, "/")) {
				hint = "write " + strings.Trim(rest, "/")
				break
			}
		}
		if hint == "" && strings.ContainsAny(id, `/\`) {
			hint = "a path on a disk is no id"
		}
		c.wrong(key, hint, "%q with value %q is not valid. Use a %s id from https://hf.co/%ss.", key, id, kind, kind)
	}
}

// oneOf warns of a word that the Hub does not know.
func (c *check) oneOf(key string, known []string, what string) {
	word, ok := c.data[key].(string)
	if ok && !slices.Contains(known, word) {
		c.warn(key, near(word, known), "the %s %q is not one of the Hub's", what, word)
	}
}

func (c *check) list(key string, known []string, what string) {
	for _, word := range c.words(key) {
		if !slices.Contains(known, word) {
			c.warn(key, near(word, known), "the %s %q is not one of the Hub's", what, word)
		}
	}
}

func (c *check) space() {
	sdks := []string{"gradio", "docker", "static", "streamlit"}
	if sdk, ok := c.data["sdk"].(string); ok && !slices.Contains(sdks, sdk) {
		c.wrong("sdk", near(sdk, sdks), `"sdk" must be one of gradio, docker, static`)
	}
	for _, key := range []string{"colorFrom", "colorTo"} {
		colors := []string{"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
		if color, ok := c.data[key].(string); ok && !slices.Contains(colors, color) {
			c.wrong(key, near(color, colors), "%q must be one of %s", key, strings.Join(colors, ", "))
		}
	}
	c.repositories("models", "model")
}

// dataset checks the configurations and their descriptions.
func (c *check) dataset() {
	if _, err := Configs(c.data); err != nil {
		c.wrong("configs", "", "%s", err)
	}
	switch v := c.data["dataset_info"].(type) {
	case nil, map[string]any:
	case []any:
		for i, item := range v {
			if m, ok := item.(map[string]any); !ok {
				c.wrong("dataset_info", "", "\"dataset_info[%d]\" must be a mapping", i)
			} else if name, _ := m["config_name"].(string); name == "" && len(v) > 1 {
				c.wrong("dataset_info", "", "\"dataset_info[%d].config_name\" is required", i)
			}
		}
	default:
		c.wrong("dataset_info", "", `"dataset_info" must be a mapping or a list of mappings`)
	}
	for _, info := range infos(c.data) {
		for _, key := range []string{"features", "splits"} {
			if list, ok := info[key].([]any); ok {
				c.named("dataset_info."+key, list)
			}
		}
	}
}

// named checks that every item of a list has a name.
func (c *check) named(key string, list []any) {
	for i, item := range list {
		if m, _ := item.(map[string]any); m["name"] == nil {
			c.wrong("dataset_info", "", "\"%s[%d].name\" is required", key, i)
		}
	}
}

func (c *check) index() {
	if c.data["model-index"] == nil {
		return
	}
	if _, err := readIndex(c.data["model-index"]); err != nil {
		for _, e := range unjoin(err) {
			c.wrong("model-index", "", "%s", e)
		}
	}
}

func unjoin(err error) []error {
	if many, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return many.Unwrap()
	}
	return []error{err}
}

// unknownKeys warns of keys that are one slip away from one that the Hub reads.
func (c *check) unknownKeys() {
	known := slices.Concat(wordKeys[:], listKeys[:], []string{"model-index", "configs", "dataset_info", "inference", "widget"})
	for _, p := range sorted(c.data) {
		if slices.Contains(known, p.Key) {
			continue
		}
		for _, k := range known {
			if len(p.Key) > 3 && Distance(strings.ToLower(p.Key), k, 1) <= 1 || strings.ReplaceAll(strings.ToLower(p.Key), "-", "_") == k {
				c.warn(p.Key, "did you mean "+k+"?", "the Hub does not read %q", p.Key)
				break
			}
		}
	}
}

// near suggests the known word that is closest to one, "" if none is close.
func near(word string, known []string) string {
	plain := strings.NewReplacer(" ", "-", "_", "-").Replace(strings.ToLower(strings.TrimSpace(word)))
	best, least := "", len(plain)/3+1
	for _, k := range known {
		if d := Distance(plain, k, least); d < least || d == least && best == "" {
			best, least = k, d
		}
	}
	if best == "" {
		for _, k := range known {
			if len(plain) > 2 && (strings.HasPrefix(k, plain) || strings.HasPrefix(plain, k+"-")) {
				best = k
				break
			}
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}

// Distance is how many letters two words differ by, anything above most if
// they differ by more.
func Distance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most || len(a) > 200 {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
