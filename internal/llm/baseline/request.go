package baseline

import (
	"path"
	"slices"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// A request is what a person's words ask for, as far as they can be
// understood by rules.
type request struct {
	Data    string // path of a table, "" if none is named
	Builtin string // one of scikit-learn's own data sets, such as "iris"
	Target  string // the column to predict, in the person's words
	Soft    bool   // Target may be a mere description: "classify flowers"
	Repo    string // where to publish, "" for nowhere
	Public  bool   // the person said so
	Private bool   // the person said that
	Trains  bool   // a model is asked for
	Beyond  string // what is asked for and cannot be done here

	Fallback *request // what to use where no package index answers
}

// builtinSets are the data sets that come with scikit-learn, by the names
// people give them.
var builtinSets = map[string]string{
	"iris": "iris", "wine": "wine", "digits": "digits", "diabetes": "diabetes",
	"breast_cancer": "breast_cancer", "breastcancer": "breast_cancer", "cancer": "breast_cancer",
}

const (
	anySet    = `(iris|wine|digits|diabetes|breast[ _-]?cancer|cancer)`
	extension = `(?:csv|tsv|tab|psv|txt|data|jsonl|ndjson|json|parquet|pq|xlsx?|zip|feather|arrow|orc|avro|pkl|pickle|npy|hdf5|h5|sqlite|db|xml|html?|pdf|rds|rdata)(?:\.(?:gz|bz2|xz|zst))?`
	fileEnd   = `(?:[\s,;:!?)\]"'` + "`" + `”’]|\.(?:\s|$)|$)`
)

var (
	builtinForms = []*lazyregexp.Regexp{
		lazyregexp.New(`(?i)\b(?:sklearn|scikit-learn)(?:\.datasets)?[:/.](?:load_)?` + anySet + `\b`),
		lazyregexp.New(`(?i)\b(?:sklearn|scikit-learn|scikit learn)(?:['’]s)?\s+(?:own |bundled |built-?in |toy |classic )*` + anySet + `\b`),
		lazyregexp.New(`(?i)\b` + anySet + `\s+(?:data ?set|data|table)?\s*(?:that (?:comes|ships) with|bundled with|from|of|in)\s+(?:sklearn|scikit[- ]learn)\b`),
		lazyregexp.New(`(?i)\bload_` + anySet + `\b`),
	}
	fileForms = []*lazyregexp.Regexp{
		lazyregexp.New("(?i)[\"“]([^\"”\n]+\\." + extension + ")[\"”]"),
		lazyregexp.New("(?i)`([^`\n]+\\." + extension + ")`"),
		lazyregexp.New("(?i)(?:^|[\\s(])['‘]([^'’\n]+\\." + extension + ")['’]"),
		lazyregexp.New(`(?i)(?:^|[\s("'=:])((?:\.{0,2}/|~/|[a-z]:\\)[^"'\n,;<>]*?\.` + extension + `)` + fileEnd),
		lazyregexp.New(`(?i)(?:^|[\s("'=:])((?:\\.|[^\s"'` + "`" + `,;:()<>])+\.` + extension + `)` + fileEnd),
		lazyregexp.New("[\"“`]((?:\\.{0,2}/|~/)[^\"”`\n]+)[\"”`]"),
		lazyregexp.New(`(?:^|\s)((?:\.{1,2}/|~/|/)[\w./~+-]*\w)`),
	}
	address = lazyregexp.New(`(?i)\b(?:https?|hf|s3|gs|ftp)://\S+`)

	fallbackForm = lazyregexp.New(`(?i)[,;.(—–-]*\s*(?:but |and |or )*\b(?:without (?:a |any |the )?(?:package|network|internet|index|packages|scikit-learn|sklearn|it\b)|(?:if|when|where|in case) (?:there (?:is|are) |you (?:have|get|find|are) )?(?:no|not|offline|the (?:package )?index|the packages?|packages?|scikit-learn|sklearn|that|this|it)\b|offline[,:]? |otherwise|failing that|or else|else)`)
	sentence     = lazyregexp.New(`[.;)](?:\s|$)|\n|$`)

	negatedPublish = lazyregexp.New(`(?i)\b(?:don['’]?t|do not|never|no need to|without|not)\s+(?:to\s+)?(?:publish|push|upload|releas|shar)\w*`)
	publishWord    = lazyregexp.New(`(?i)\b(?:re)?(?:publish|push|upload|release|share|deploy|host)(?:es|s|ed|ing)?\b`)
	trainWord      = lazyregexp.New(`(?i)\b(?:train|fit|learn|build|creat|mak|predict|classif|regress|forecast|estimat|detect|model|target|baseline)\w*`)
	publicWord     = lazyregexp.New(`(?i)\bpublic(?:ly)?\b`)
	privateWord    = lazyregexp.New(`(?i)\bprivate(?:ly)?\b`)
	notPublic      = lazyregexp.New(`(?i)(?:\bnot\b|n['’]t|\bnon|\bnever\b|\bno\b|\bthan\b|\binstead of\b|\bnothing\b)[\w\s-]{0,20}$`)

	sentences   = lazyregexp.New(`[.;](?:\s|$)|\n`)
	makesPublic = lazyregexp.New(`(?i)\b(?:make|making|keep|set|is|be|visibility)\b[\w\s:]*$`)
	publicPlace = lazyregexp.New(`^\s*(?:model|repo|repository)\b`)
	otherPublic = lazyregexp.New(`^\s*(?:available|data|known|domain|transport|health|school)`)

	repoName = lazyregexp.New(`^[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?$`)
	beyond   = []struct {
		what  string
		words *lazyregexp.Regexp
	}{
		{"fine-tuning or running language models", lazyregexp.New(`(?i)\bfine-?tun|\b(?:llms?|llama\S*|gpt\S*|qwen\S*|mistral\S*|gemma\S*|lora|qlora|rlhf|language models?)\b`)},
		{"images, sound or video", lazyregexp.New(`(?i)\b(?:images?|pictures?|photos?|audio|speech|videos?|diffusion|object detection|segmentation)\b`)},
		{"data at an address on the web; fetch the file first and name its path", address},
	}
)

// parse reads one message of a person.
func parse(text string) request {
	main, clause := cutFallback(text)
	r := parseClause(main)
	if clause != "" {
		if fb := parseClause(clause); fb.Data != "" {
			r.Fallback = &fb
		}
	}
	return r
}

// cutFallback separates "…; without a package index use ./x.csv and predict y".
func cutFallback(text string) (main, clause string) {
	for _, at := range fallbackForm.FindAllStringIndex(text, -1) {
		rest := text[at[1]:]
		end := len(rest)
		for _, stop := range sentence.FindAllStringIndex(rest, -1) {
			if stop[0] > 0 {
				end = stop[0]
				break
			}
		}
		if data, _ := findFile(rest[:end]); data != "" {
			return text[:at[0]] + "." + rest[end:], rest[:end]
		}
	}
	return text, ""
}

func parseClause(text string) request {
	var r request
	r.Builtin, text = findBuiltin(text)
	urls := address.FindString(text)
	if r.Builtin == "" && urls == "" {
		r.Data, text = findFile(text)
	}
	r.Trains = trainWord.MatchString(text)
	for _, b := range beyond {
		if b.words.MatchString(text) {
			r.Beyond = b.what
			break
		}
	}
	wish := negatedPublish.ReplaceAllString(text, " ")
	refused := wish != text
	r.Repo, text = findRepo(wish, refused)
	r.Public = saysPublic(wish)
	r.Private = privateWord.MatchString(wish) && !r.Public
	r.Target, r.Soft = findTarget(text)
	return r
}

func findBuiltin(text string) (name, rest string) {
	for _, form := range builtinForms {
		if m := form.FindStringSubmatchIndex(text); m != nil {
			key := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(text[m[2]:m[3]]))
			return builtinSets[key], text[:m[0]] + dataMark + text[m[1]:]
		}
	}
	return "", text
}

// dataMark stands where the text named its data.
const dataMark = " ⟨data⟩ "

func findFile(text string) (file, rest string) {
	for _, form := range fileForms {
		m := form.FindStringSubmatchIndex(text)
		if m == nil {
			continue
		}
		file = text[m[2]:m[3]]
		// "./a and ./b.csv" names two things.
		if i := strings.LastIndexAny(file, " \t"); i > 0 && strings.ContainsAny(file[i+1:], "/") && strings.HasPrefix(file[i+1:], ".") {
			file = file[i+1:]
		}
		rest = text[:m[2]] + dataMark + text[m[3]:]
		return strings.ReplaceAll(file, `\ `, " "), rest
	}
	return "", text
}

// notNames are words that follow "as" or "to" without being a name.
var notNames = []string{
	"a", "an", "the", "it", "its", "my", "our", "me", "this", "that", "hub", "hf", "hugging", "huggingface", "face", "repo",
	"repository", "model", "private", "public", "privately", "publicly", "as", "to", "under", "named", "called", "name", "and", "with", "well", "soon",
	"target", "label", "is", "in", "at", "usual", "one", "possible", "of", "for", "on", "be", "hub.", "if", "when", "please", "new", "results", "result",
	"predict", "predicts", "them", "everything", "regression", "classification", "baseline", "features", "much", "many", "good", "index",
}

// findRepo finds the name to publish under, and returns the text without it.
func findRepo(text string, refused bool) (repo, rest string) {
	from := 0
	publishes := false
	if m := publishWord.FindStringIndex(text); m != nil && !refused {
		from, publishes = m[0], true
	}
	words := wordSpans(text[from:])
	for i := 1; i < len(words); i++ {
		before, word := strings.ToLower(words[i-1].text), words[i].text
		leads := slices.Contains([]string{"as", "to", "under", "named", "called", "name", "repo", "repository", "model", "into", "at", "publish", "upload", "push"}, before)
		if !publishes {
			leads = before == "as" && strings.ContainsAny(word, "-/") || (before == "it" && i > 1 && isNaming(words[i-2].text))
		}
		if !leads || refused || !repoName.MatchString(word) || slices.Contains(notNames, strings.ToLower(word)) {
			continue
		}
		return word, text[:from+words[i-1].start] + " . " + text[from+words[i].end:]
	}
	return "", text
}

func isNaming(word string) bool {
	word = strings.ToLower(word)
	return word == "call" || word == "name"
}

type span struct {
	text       string
	start, end int
}

var wordForm = lazyregexp.New("[^\\s\"'`“”‘’,;:!?()]+")

// wordSpans splits at blanks and punctuation, with dots at a word's end cut.
func wordSpans(text string) []span {
	var words []span
	for _, m := range wordForm.FindAllStringIndex(text, -1) {
		word := strings.TrimRight(text[m[0]:m[1]], ".")
		words = append(words, span{word, m[0], m[0] + len(word)})
	}
	return words
}

// saysPublic holds only if the person asked for the model to be public, not
// if data or anything else is called so.
func saysPublic(text string) bool {
	for _, part := range sentences.Split(text, -1) {
		for _, m := range publicWord.FindAllStringIndex(part, -1) {
			before, after := part[:m[0]], strings.ToLower(part[m[1]:])
			if notPublic.MatchString(before) || otherPublic.MatchString(after) {
				continue
			}
			publicly := strings.EqualFold(part[m[0]:m[1]], "publicly") && publishWord.MatchString(after)
			if publicly || publishWord.MatchString(before) || makesPublic.MatchString(before) || publicPlace.MatchString(after) {
				return true
			}
		}
	}
	return false
}

// merge lays a later message over an earlier one. It reports whether the work
// must begin anew.
func (r *request) merge(next request) (anew bool) {
	before := *r
	if next.hasData() {
		sameData := next.Data == before.Data && next.Builtin == before.Builtin
		*r = next
		if sameData || !before.hasData() {
			r.inherit(before)
		}
		return !sameData || r.Target != before.Target
	}
	if next.Target != "" && next.Beyond == "" {
		r.Target, r.Soft = next.Target, next.Soft
	}
	if next.Repo != "" {
		r.Repo = next.Repo
	}
	if next.Public || next.Private {
		r.Public = next.Public
	}
	r.Trains = r.Trains || next.Trains
	if !r.hasData() {
		r.Beyond = next.Beyond
	}
	return r.Target != before.Target
}

// inherit takes over what only the earlier message said.
func (r *request) inherit(before request) {
	if r.Target == "" {
		r.Target, r.Soft = before.Target, before.Soft
	}
	if r.Repo == "" {
		r.Repo, r.Public = before.Repo, before.Public
	}
	if r.Fallback == nil {
		r.Fallback = before.Fallback
	}
	r.Trains = r.Trains || before.Trains
}

// hasData reports whether there is something to work on.
func (r request) hasData() bool { return r.Data != "" || r.Builtin != "" }

// source names the data for people.
func (r request) source() string {
	if r.Builtin != "" {
		return "scikit-learn's " + strings.ReplaceAll(r.Builtin, "_", " ") + " data"
	}
	return path.Base(strings.ReplaceAll(r.Data, `\`, "/"))
}
