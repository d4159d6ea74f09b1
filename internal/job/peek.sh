# peek prints what the metrics files below a folder have beyond what is known.
# Standard input says what is: "SIZE COUNT SUM NAME" for each file, how far it was
# read and the sum of its first COUNT bytes then. Of each file with more there is a
# line "FROM BYTES COUNT SUM NAME", and the bytes; FROM is 0 if it was written anew.
peek() { # FOLDER
	cd "$1" 2>/dev/null || return 0
	peek_known=$(cat)
	peek_left=4194304
	find . -name '.?*' -prune -o -type f -print 2>/dev/null |
		grep -iE '\.tfevents\.[^/[:space:]]*$|(metric|log|history|progress|result)[^/]*\.(csv|jsonl|ndjson)$' | head -n 64 |
		while IFS= read -r name; do
			size=$(wc -c <"$name" 2>/dev/null) || continue
			from=0 count=0 sum=0
			while read -r was_size was_count was_sum was_name; do
				[ "$was_name" != "$name" ] || { from=$was_size count=$was_count sum=$was_sum; break; }
			done <<-EOF
			$peek_known
			EOF
			[ "$size" -ne "$from" ] || continue
			if [ "$size" -lt "$from" ] || [ "$sum" != "$(peek_sum "$count" "$name")" ]; then from=0; fi
			bytes=$((size - from))
			[ $bytes -le $peek_left ] || bytes=$peek_left
			[ $bytes -gt 0 ] || break
			peek_left=$((peek_left - bytes))
			count=$((from + bytes))
			[ $count -le 512 ] || count=512
			echo "$from $bytes $count $(peek_sum $count "$name") $name"
			tail -c "+$((from + 1))" "$name" | head -c $bytes
		done
}

# peek_sum prints the sum of a file's first bytes.
peek_sum() { # COUNT NAME
	set -- "$(head -c "$1" "$2" | cksum)"
	echo "${1%% *}"
}
