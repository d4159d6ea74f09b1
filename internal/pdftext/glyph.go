package pdftext

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"ml-intern/internal/lazyregexp"
)

// ascii names the signs from 32 to 126 that are not letters.
const ascii = "space exclam quotedbl numbersign dollar percent ampersand quotesingle parenleft parenright asterisk plus comma hyphen period slash " +
	"zero one two three four five six seven eight nine colon semicolon less equal greater question at"

// others are pairs of a name and what it stands for. Ligatures are taken apart.
const others = "bracketleft [ backslash \\ bracketright ] asciicircum ^ underscore _ grave ` braceleft { bar | braceright } asciitilde ~ " +
	"ff ff fi fi fl fl ffi ffi ffl ffl f_f ff f_i fi f_l fl f_f_i ffi f_f_l ffl ft ft st st ae æ AE Æ oe œ OE Œ oslash ø Oslash Ø germandbls ß dotlessi ı dotlessj ȷ lslash ł Lslash Ł eth ð thorn þ " +
	"quoteleft ‘ quoteright ’ quotedblleft “ quotedblright ” quotesinglbase ‚ quotedblbase „ guillemotleft « guillemotright » guilsinglleft ‹ guilsinglright › " +
	"endash – emdash — bullet • ellipsis … dagger † daggerdbl ‡ section § paragraph ¶ copyright © registered ® trademark ™ degree ° exclamdown ¡ questiondown ¿ " +
	"sterling £ yen ¥ Euro € cent ¢ currency ¤ brokenbar ¦ ordfeminine ª ordmasculine º onesuperior ¹ twosuperior ² threesuperior ³ onehalf ½ onequarter ¼ threequarters ¾ perthousand ‰ " +
	"minus − plusminus ± minusplus ∓ multiply × divide ÷ periodcentered · asteriskmath ∗ element ∈ notelement ∉ owner ∋ emptyset ∅ infinity ∞ partialdiff ∂ gradient ∇ nabla ∇ " +
	"lessequal ≤ greaterequal ≥ notequal ≠ approxequal ≈ equivalence ≡ similar ∼ similarequal ≃ proportional ∝ lessmuch ≪ greatermuch ≫ precedes ≺ follows ≻ " +
	"summation ∑ product ∏ integral ∫ radical √ union ∪ intersection ∩ logicaland ∧ logicalor ∨ logicalnot ¬ universal ∀ existential ∃ " +
	"propersubset ⊂ propersuperset ⊃ reflexsubset ⊆ reflexsuperset ⊇ circleplus ⊕ circlemultiply ⊗ circledot ⊙ perpendicular ⊥ turnstileleft ⊢ " +
	"arrowright → arrowleft ← arrowup ↑ arrowdown ↓ arrowboth ↔ arrowdblright ⇒ arrowdblleft ⇐ arrowdblboth ⇔ mapsto ↦ " +
	"angbracketleft ⟨ angbracketright ⟩ floorleft ⌊ floorright ⌋ ceilingleft ⌈ ceilingright ⌉ bardbl ∥ prime ′ asciitilde ~ tilde ~ circumflex ^ acute ´ dieresis ¨ macron ¯ cedilla ¸ " +
	"Alpha Α Beta Β Gamma Γ Delta Δ Epsilon Ε Zeta Ζ Eta Η Theta Θ Iota Ι Kappa Κ Lambda Λ Mu Μ Nu Ν Xi Ξ Omicron Ο Pi Π Rho Ρ Sigma Σ Tau Τ Upsilon Υ Phi Φ Chi Χ Psi Ψ Omega Ω " +
	"alpha α beta β gamma γ delta δ epsilon ϵ epsilon1 ε zeta ζ eta η theta θ theta1 ϑ iota ι kappa κ lambda λ mu μ nu ν xi ξ omicron ο pi π pi1 ϖ rho ρ rho1 ϱ sigma σ sigma1 ς tau τ upsilon υ phi φ phi1 ϕ chi χ psi ψ omega ω " +
	"weierstrass ℘ lscript ℓ aleph ℵ Rfractur ℜ Ifractur ℑ star ⋆ openbullet ◦ club ♣ diamond ♢ heart ♡ spade ♠ check ✓ checkmark ✓ visiblespace ␣ nbspace \u00a0 sfthyphen \u00ad"

// accents that a letter's name may end in, as signs that combine with it.
const accents = "acute \u0301 grave \u0300 circumflex \u0302 dieresis \u0308 tilde \u0303 caron \u030c cedilla \u0327 ring \u030a macron \u0304 breve \u0306 ogonek \u0328 dotaccent \u0307 hungarumlaut \u030b commaaccent \u0326"

// glyphs is a table of names and what they stand for.
func glyphs() map[string]string {
	table := map[string]string{}
	for i, n := range strings.Fields(ascii) {
		table[n] = string(rune(' ' + i))
	}
	for c := 'A'; c <= 'Z'; c++ {
		table[string(c)] = string(c)
		table[string(c+32)] = string(c + 32)
	}
	pairs := strings.Split(others, " ")
	for i := 0; i+1 < len(pairs); i += 2 {
		table[pairs[i]] = pairs[i+1]
	}
	marks := strings.Fields(accents)
	for i := 0; i+1 < len(marks); i += 2 {
		for c := 'A'; c <= 'Z'; c++ {
			table[string(c)+marks[i]] = string(c) + marks[i+1]
			table[string(c+32)+marks[i]] = string(c+32) + marks[i+1]
		}
		table["dotlessi"+marks[i]] = "i" + marks[i+1]
	}
	return table
}

var (
	uniName  = lazyregexp.New(`^u(?:ni)?([0-9A-F]{4,6})$`)
	codeName = lazyregexp.New(`^[A-Za-z]{1,2}(\d{1,3})$`)
)

// glyph says what a name stands for, "" if nobody knows.
func glyph(table map[string]string, name string, code byte) string {
	name, _, _ = strings.Cut(name, ".") // a.alt
	if s, ok := table[name]; ok {
		return s
	}
	if m := uniName.FindStringSubmatch(name); m != nil {
		if n, err := strconv.ParseUint(m[1], 16, 32); err == nil && utf8.ValidRune(rune(n)) {
			return string(rune(n))
		}
	}
	if codeName.MatchString(name) { // of bitmap fonts, by their place in TeX's own encoding
		return texCode(code)
	}
	if strings.Contains(name, "_") && len(name) > 1 {
		var b strings.Builder
		for part := range strings.SplitSeq(name, "_") {
			b.WriteString(table[part])
		}
		return b.String()
	}
	return ""
}

// texCode reads a code in the encoding of TeX's first fonts.
func texCode(code byte) string {
	switch code {
	case 11:
		return "ff"
	case 12:
		return "fi"
	case 13:
		return "fl"
	case 14:
		return "ffi"
	case 15:
		return "ffl"
	case 34:
		return "”"
	case 92:
		return "“"
	case 123:
		return "–"
	case 124:
		return "—"
	}
	if code >= 32 && code < 127 {
		return string(rune(code))
	}
	return ""
}

// upper are the codes from 128 to 159 of the encoding that Windows uses.
const upper = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ"

// standardUpper pairs codes and signs of the encoding that fonts have if
// nothing is said, where it differs from that of Windows.
const standardUpper = "161¡162¢163£164⁄165¥166ƒ167§168¤169'170“171«172‹173›174fi175fl177–178†179‡180·182¶183•184‚185„186”187»188…189‰191¿193`194´195ˆ196˜197¯198˘199˙200¨202˚203¸205˝206˛207ˇ208—225Æ227ª232Ł233Ø234Œ235º241æ245ı248ł249ø250œ251ß"

// macUpper does so for the signs of texts in that of old Macs.
const macUpper = "165•169©170™199«200»201…208–209—210“211”212‘213’222fi223fl"

var standardPair = lazyregexp.New(`(\d{3})(\D+)`)

// simpleCodes is what the codes of a font of single bytes stand for before its own
// differences.
func simpleCodes(encoding name) [256]string {
	var codes [256]string
	for c := 32; c < 127; c++ {
		codes[c] = string(rune(c))
	}
	table := standardUpper
	switch encoding {
	case "WinAnsiEncoding":
		table = ""
	case "MacRomanEncoding":
		table = macUpper
	default:
		codes['\''], codes['`'] = "’", "‘"
	}
	for _, m := range standardPair.FindAllStringSubmatch(table, -1) {
		n, _ := strconv.Atoi(m[1])
		codes[n] = m[2]
	}
	if table != "" {
		return codes
	}
	for c := 160; c < 256; c++ {
		codes[c] = string(rune(c))
	}
	i := 128
	for _, c := range upper {
		if c != ' ' {
			codes[i] = string(c)
		}
		i++
	}
	return codes
}
