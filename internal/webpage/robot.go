package webpage

import "strings"

// Words of pages that are shown instead of the content, and how much text
// there may be on such a page.
var (
	robotMarks = []string{
		"anomaly-modal", "anomaly.js", "cf-chl-", "/cdn-cgi/challenge-platform", "captcha-delivery.com", "px-captcha", "_incapsula_resource",
		"g-recaptcha", "h-captcha", "hcaptcha.com", "cf-turnstile", "awswafintegration", "sec-cpt",
	}
	robotWords = []string{
		"just a moment...", "are you a robot", "are not a robot", "not a bot", "you are human", "you're human", "verifying you are", "unusual traffic", "automated requests",
		"bots use duckduckgo too", "checking your browser", "enable javascript and cookies to continue", "complete the captcha", "confirm you're not",
	}
)

const mostRobotText = 1500

// Robot reports whether the HTML is a page that asks its reader to prove that
// they are a person, in place of what was asked for. The text is what can be
// read on it.
func Robot(source, text string) bool {
	if len(text) > mostRobotText {
		return false
	}
	text = strings.ToLower(text)
	for _, words := range robotWords {
		if strings.Contains(text, words) {
			return true
		}
	}
	source = strings.ToLower(source[:min(len(source), 512<<10)])
	for _, mark := range robotMarks {
		if strings.Contains(source, mark) {
			return true
		}
	}
	return false
}
