# Providers of others change machines only if somebody whom we believe has tested them, and found nothing.
package rectify

default allow := false

allow if count(deny) == 0

# Principals of the trust file whose word counts.
testers := {"reviewer"}

good(provider) if {
	some verdict in provider.verdicts
	verdict.tester in testers
	verdict.failed == 0
	verdict.passed >= 20
}

deny contains {"rule": "untested-provider", "message": sprintf("%s: nobody whom we believe has tested it", [name])} if {
	some name, provider in input.providers
	not good(provider)
}
