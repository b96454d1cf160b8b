#!/bin/sh
# What a build server does with a Rectify project, one word a step. docs/ci.md explains each of them.
#
#   validate   check the sources; problems go to $RECTIFY_OUT/rectify.sarif
#   plan       make the plan, the comment for the pull request and the page for a browser
#   gate       fail with 3 if policy denies the plan
#   approved   fail with 3 unless the plan that was approved is the one that was made just now
#   comment    write the comment to the pull request, or update it (needs `gh`)
#   apply      apply the plan that was approved
set -eu
umask 077

rectify=${RECTIFY:-rectify}
project=${RECTIFY_PROJECT:-.}
# Where results go; nothing else is kept there.
out=${RECTIFY_OUT:-rectify-out}
# The plan that people seal and approve; what they sign lies beside it, and is committed with it.
approved=${RECTIFY_APPROVED:-$project/plans/change.plan.json}
made=$out/change.plan.json
mark='<!-- rectify -->'

case ${1:-} in
validate)
	mkdir -p "$out"
	"$rectify" -C "$project" validate --format sarif >"$out/rectify.sarif"
	;;
plan)
	mkdir -p "$out"
	rm -rf "$made" "${made%.json}.d" "$out/pending"
	# 2 says that there is something to do.
	status=0
	"$rectify" -C "$project" plan --out "$made" --page "$out/review.html" \
		--format markdown --detailed-exitcode >"$out/plan.md" || status=$?
	case $status in
	0) ;;
	2) : >"$out/pending" ;;
	*) exit "$status" ;;
	esac
	{
		echo "$mark"
		cat "$out/plan.md"
	} >"$out/comment.md"
	;;
gate)
	[ -e "$out/pending" ] || exit 0
	"$rectify" -C "$project" policy explain "$made"
	;;
approved)
	[ -e "$out/pending" ] || exit 0
	if [ ! -e "$approved" ]; then
		echo "nothing is approved yet: commit the sealed plan as $approved" >&2
		exit 3
	fi
	# Plans are reproducible: the same sources and the same targets give the same bytes.
	if cmp -s "$approved" "$made"; then
		exit 0
	fi
	echo "the plan is not the one that was approved; what changed since:" >&2
	"$rectify" diff "$approved" "$made" || true
	exit 3
	;;
comment)
	comments=repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments
	ours=".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$mark\"))) | .id"
	id=$(gh api --paginate "$comments" --jq "$ours" | head -n 1)
	if [ -n "$id" ]; then
		gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" --field "body=@$out/comment.md" >"$out/comment.json"
	else
		gh api --method POST "$comments" --field "body=@$out/comment.md" >"$out/comment.json"
	fi
	;;
apply)
	[ -e "$out/pending" ] || exit 0
	"$rectify" -C "$project" apply "$approved"
	;;
*)
	sed -n 's/^# \{0,1\}//; 2,9p' "$0" >&2
	exit 64
	;;
esac
