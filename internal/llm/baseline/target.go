package baseline

import (
	"slices"
	"strings"
	"unicode"

	"ml-intern/internal/lazyregexp"
)

const (
	quotedName = "[\"“`'‘]([^\"”`'’\n]{1,80})[\"”`'’]"
	bareName   = `([\w][\w.$%/-]*)`
	// phraseEnd is where the name of what to predict ends.
	phraseEnd = `(?:\s+(?:from|in|using|with|within|based|on|given|out|for|via|by|of ⟨data⟩|and|then|so|as|where|when|which|that|use|publish)\b|\s*[,.;:!?()]|\s*⟨|\s*\n|\s*$)`
)

// A targetForm is one way in which people say what to predict.
type targetForm struct {
	form *lazyregexp.Regexp
	soft bool // what it names may be a description, not a column
}

var targetForms = []targetForm{
	{lazyregexp.New(`(?i)\b(?:target|label)(?:\s+(?:column|variable|field))?\s*(?:is|=|:|called|named|being)?\s*(?:the\s+)?(?:column\s+)?` + quotedName), false},
	{lazyregexp.New(`(?i)\b(?:predict|forecast|estimat|classif|infer|guess)\w*\s+(?:the\s+)?(?:values?\s+(?:of|in)\s+)?(?:the\s+)?(?:target\s+)?(?:column|field|variable)?\s*` + quotedName), false},
	{lazyregexp.New(`(?i)` + quotedName + `\s*(?:column|field)?\s*(?:is|as|being)\s+(?:the\s+|my\s+)?(?:target|label|output|thing to predict)`), false},
	{lazyregexp.New(`(?i)\b(?:target|label)\s+(?:column|variable|field)\s*(?:is|=|:|called|named|being)?\s*(?:the\s+)?` + bareName), false},
	{lazyregexp.New(`(?i)\b(?:target|label)\s*(?:is|=|:|called|named)\s*(?:the\s+)?(?:column\s+)?` + bareName), false},
	{lazyregexp.New(`(?i)\b(?:predict|forecast|estimat|classif)\w*\s+(?:the\s+)?(?:values?\s+(?:of|in)\s+)?(?:the\s+)?(?:target\s+)?(?:column|field|variable)\s+` + bareName), false},
	{lazyregexp.New(`(?i)\b(?:column|field)\s+` + bareName + `\s*(?:is|as)\s+(?:the\s+)?(?:target|label|output)`), false},
	{lazyregexp.New(`(?i)\b` + bareName + `\s+(?:is|as)\s+(?:the\s+|my\s+)?(?:target|label)\b`), false},
	{lazyregexp.New(`(?i)\b(?:predict(?:s|ing|ed)?|forecast(?:s|ing)?|estimat(?:e|es|ing)|infer(?:s|ring)?|guess(?:es|ing)?|prediction of|regress(?:es|ing)?)\s+(.+?)` + phraseEnd), false},
	{lazyregexp.New(`(?i)\bclassif(?:y|ies|ying)\s+.*?\b(?:by|into|according to)\s+(?:the\s+|their\s+|its\s+)?(.+?)` + phraseEnd), true},
	{lazyregexp.New(`(?i)\b(?:classif(?:y|ies|ying)|detect(?:s|ing)?|identif(?:y|ies|ying)|recogni[sz](?:e|es|ing)|find out|tells?|learns?)\s+(.+?)` + phraseEnd), true},
	{lazyregexp.New(`(?i)\b(?:classification|classifier|regression|regressor|predictor|model)\s+(?:of|for)\s+(?:the\s+)?(.+?)` + phraseEnd), true},
	{lazyregexp.New(`(?i)\b(?:an?|the)\s+(?:good |simple |quick |small )*` + bareName + `\s+(?:classifier|predictor|regressor|regression|detector|forecaster|prediction|classification)\b`), true},
}

var (
	leadIn  = lazyregexp.New(`(?i)^(?:the|a|an|its|their|my|our|each|every|whether or not|whether|if|how much|how many|what|which|value of|values of|column|target column|target|field|variable|unknown|missing|value in)\s+`)
	leadOut = lazyregexp.New(`(?i)\s+(?:column|field|variable|values|target|instead|please|now|too|only)$`)
)

// findTarget finds what to predict in a text without its data and repository.
func findTarget(text string) (target string, soft bool) {
	for _, f := range targetForms {
		for _, m := range f.form.FindAllStringSubmatch(text, -1) {
			phrase := strings.TrimSpace(strings.Trim(m[1], "\"'`“”‘’⟨⟩ "))
			for before := ""; before != phrase; {
				before = phrase
				phrase = leadOut.ReplaceAllString(leadIn.ReplaceAllString(phrase, ""), "")
			}
			phrase = strings.Trim(strings.TrimRight(phrase, ".,"), "\"'`“”‘’ ")
			if phrase == "" || strings.Contains(phrase, "⟨") || slices.Contains(notTargets, strings.ToLower(phrase)) || len(phrase) > 80 {
				continue
			}
			return phrase, f.soft
		}
	}
	return "", false
}

// notTargets are words where a target may stand and none is meant.
var notTargets = []string{
	"it", "them", "this", "that", "data", "the data", "something", "anything", "rows", "stuff", "model", "best", "simple", "baseline",
	"column", "well", "table", "csv", "file", "machine learning", "what", "and", "from", "in", "linear", "logistic", "good", "binary", "multiclass", "label", "target", "me", "how", "you",
}

// mentioned returns the only column whose name the phrase contains word for
// word, "" if there is none or more than one.
func mentioned(phrase string, columns []string) string {
	words := " " + strings.Join(splitWords(phrase), " ") + " "
	found := ""
	for _, name := range columns {
		key := strings.Join(splitWords(name), " ")
		if key == "" || !strings.Contains(words, " "+key+" ") {
			continue
		}
		if found != "" {
			return ""
		}
		found = name
	}
	return found
}

func splitWords(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
