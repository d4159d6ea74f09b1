package secret

import (
	"encoding/base64"
	"slices"
	"strings"
)

// closely finds what is likely a key or a password, and would be too often none
// in a text that must stay as it is: behind the name of one without quotes, in an
// address, in the lines of well-known programs.
func closely(text string) []span {
	spans := marked(text)
	note := func(begin, end int, found bool) {
		if found {
			spans = append(spans, span{begin, end})
		}
	}
	for i := range len(text) {
		switch text[i] {
		case ':', '=':
			note(named(text, i))
			note(botToken(text, i))
		case ' ':
			note(named(text, i))
			note(behindWord(text, i))
		case '@':
			note(inAddress(text, i))
		}
	}
	return spans
}

// marks are keys by what they begin with, of which no byte is rare in texts.
var marks = []shape{
	{"SG.", dotted, 60, 0, hasDigit},
	{"dapi", alnum, 32, 34, func(s string) bool { return isHex(s) && hasDigit(s) }},
	{"hooks.slack.com/services/", "", 30, 0, nil},
	{"discord.com/api/webhooks/", "", 60, 0, nil},
	{"discordapp.com/api/webhooks/", "", 60, 0, nil},
}

func marked(text string) (spans []span) {
	for _, m := range marks {
		for from := 0; ; {
			i := strings.Index(text[from:], m.mark)
			if i < 0 {
				break
			}
			start := from + i
			from = start + len(m.mark)
			if m.body == "" { // a path
				if end := run(text, from, isLetter|isCapital|isDigit|isDash|isBase64); end-from >= m.min {
					spans = append(spans, span{from, end})
				}
			} else if end, found := m.at(text, start, true); found == yes {
				spans = append(spans, span{start, end})
			}
		}
	}
	return spans
}

// named judges what stands behind the sign or the space at i, if the name before
// it is one of a secret: in YAML, in a line of a shell, in .netrc.
func named(text string, i int) (begin, end int, found bool) {
	name := nameBefore(text, i)
	if name == "" && !isShortName(text, i) {
		return 0, 0, false
	}
	begin = i + 1
	for begin < len(text) && begin < i+4 && strings.IndexByte(" \"'", text[begin]) >= 0 {
		begin++
	}
	end = begin
	for end < len(text) && text[end] > ' ' && text[end] < 0x7f && strings.IndexByte("\"'\\,;&|`<>(){}[]", text[end]) < 0 {
		end++
	}
	value := text[begin:end]
	switch {
	case end < len(text) && strings.IndexByte("([{<`", text[end]) >= 0: // a call, or a place to fill in
		return 0, 0, false
	case text[i] != ' ' && strings.Contains(name, "pass") && !strings.ContainsAny(value, "/.:$%"):
		return begin, end, isPassword(value)
	}
	return begin, end, random(value, name)
}

// isShortName reports whether what ends at i is a variable that ends like those of
// keys, and too short to go by in other texts; or "key" in Kaggle's file.
func isShortName(text string, i int) bool {
	head := text[max(0, i-120):i]
	if strings.HasSuffix(head, `"key"`) || strings.HasSuffix(head, `"key\"`) {
		return strings.Contains(head, `"username`)
	}
	return text[i] == '=' && isVariable(text, i) && slices.ContainsFunc([]string{"_KEY", "_PASS", "_PWD"}, func(s string) bool { return strings.HasSuffix(head, s) })
}

// behindWord judges what stands behind the space at i: what a login of W&B takes,
// what an Authorization by name and password holds, and what curl sends as such.
func behindWord(text string, i int) (begin, end int, found bool) {
	head := text[max(0, i-24):i]
	begin = i + 1
	end = run(text, begin, isLetter|isCapital|isDigit|isDash|isDot|isBase64)
	value := text[begin:end]
	switch {
	case strings.HasSuffix(head, "wandb login"):
		return begin, end, len(value) == 40 && isHex(value)
	case len(head) >= 5 && strings.EqualFold(head[len(head)-5:], "basic"):
		plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		return begin, end, len(value) >= 12 && err == nil && (strings.ContainsRune(string(plain), ':') || len(value) >= 24 && !allWords(value))
	case strings.HasSuffix(head, " -u") || strings.HasSuffix(head, " --user"):
		if end == len(text) || text[end] != ':' {
			return 0, 0, false
		}
		begin = end + 1
		end = run(text, begin, isLetter|isCapital|isDigit|isDash|isDot|isBase64)
		return begin, end, isPassword(text[begin:end])
	}
	return 0, 0, false
}

// botToken judges the key of a bot of Telegram, digits and a text around the sign
// at i.
func botToken(text string, i int) (begin, end int, found bool) {
	begin = i
	for begin > 0 && classes[text[begin-1]]&isDigit != 0 && i-begin < 12 {
		begin--
	}
	end = run(text, i+1, isLetter|isCapital|isDigit|isDash)
	return begin, end, text[i] == ':' && i-begin >= 8 && i-begin <= 10 && end-i-1 == 35 && !allWords(text[i+1:end])
}

// inAddress judges the password, or the key in its place, before the sign at i in
// an address: scheme://user:password@host.
func inAddress(text string, i int) (begin, end int, found bool) {
	low := max(0, i-300)
	at := strings.LastIndex(text[low:i], "://")
	if at < 0 {
		return 0, 0, false
	}
	who := text[low+at+3 : i]
	if strings.ContainsAny(who, " \t\r\n\"'/<>{}[]()$*|\\") {
		return 0, 0, false
	}
	_, password, both := strings.Cut(who, ":")
	if !both {
		return i - len(who), i, len(who) >= 20 && !allWords(who)
	}
	return i - len(password), i, isPassword(password)
}

// isPassword reports whether a value is no word and no place to fill in.
func isPassword(value string) bool {
	letters := strings.ContainsFunc(value, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
	return len(value) >= minValue && letters && hasDigit(value) && !repeats(value)
}
