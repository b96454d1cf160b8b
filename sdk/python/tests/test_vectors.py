"""Bytes, digests and spellings are those of conformance/vectors."""

import unittest

from tests.support import rp, vectors


class Vectors(unittest.TestCase):
    def test_canonical_json(self):
        for case in vectors("canonical-json/accepted.json"):
            with self.subTest(case["name"]):
                value = rp.read_json(case["input"].encode())
                self.assertEqual(rp.compact(value).decode(), case["compact"])
                self.assertEqual(rp.file_bytes(value).decode(), case["file"])
                self.assertEqual(rp.read_json(case["file"].encode()), value)

    def test_json_that_others_would_read_in_another_way(self):
        for case in vectors("canonical-json/rejected.json"):
            with self.subTest(case["name"]):
                data = bytes.fromhex(case["input_hex"]) if "input_hex" in case else case["input"].encode()
                with self.assertRaises(rp.JsonError):
                    rp.read_json(data)

    def test_files_in_another_form(self):
        for case in vectors("canonical-json/other-form.json"):
            with self.subTest(case["name"]):
                data = case["file"].encode()
                written = rp.file_bytes(rp.read_json(data))
                same = next((i for i, (a, b) in enumerate(zip(written, data)) if a != b), min(len(written), len(data)))
                self.assertNotEqual(written, data)
                self.assertEqual(same, case["offset"])

    def test_digests_of_files(self):
        for case in vectors("digests/files.json"):
            with self.subTest(case["name"]):
                if "text" in case:
                    data = case["text"].encode()
                elif "hex" in case:
                    data = bytes.fromhex(case["hex"])
                else:
                    data = bytes(i % 251 for i in range(case["pattern"]))
                self.assertEqual(rp.digest_of(data), case["blake3"])

    def test_derived_digests(self):
        for case in vectors("digests/derived.json"):
            with self.subTest(case["context"]):
                self.assertEqual(rp.derive(case["context"], [p.encode() for p in case["parts"]]), case["digest"])

    def test_fingerprints(self):
        for case in vectors("fingerprints/fingerprints.json"):
            with self.subTest(case["name"]):
                found = rp.fingerprint(case["type"], case["version"], case["state"], case["volatile"])
                self.assertEqual(found, case["fingerprint"])

    def test_names_of_types_and_secrets(self):
        patterns = {"type": rp._TYPE_NAME, "secret": rp._SECRET_NAME}
        seen = 0
        for case in vectors("names/names.json"):
            for text, valid in [(t, True) for t in case["valid"]] + [(t, False) for t in case["invalid"]]:
                if case["kind"] in patterns:
                    seen += 1
                    self.assertEqual(bool(patterns[case["kind"]].match(text)), valid, text)
        self.assertGreater(seen, 10)


class Blake3(unittest.TestCase):
    """The published vectors: input byte i is i modulo 251, and the key and the context of that file."""

    KEY = b"whats the Elvish word for friend"
    CONTEXT = "BLAKE3 2019-12-27 16:29:52 test vectors context"
    #: Length, then the digest, the keyed one and the derived one.
    PUBLISHED = (
        (0,
         "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
         "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
         "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"),
        (1,
         "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
         "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
         "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"),
        (63,
         "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b",
         "bb1eb5d4afa793c1ebdd9fb08def6c36d10096986ae0cfe148cd101170ce37ae",
         "b6451e30b953c206e34644c6803724e9d2725e0893039cfc49584f991f451af3"),
        (64,
         "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98",
         "ba8ced36f327700d213f120b1a207a3b8c04330528586f414d09f2f7d9ccb7e6",
         "a5c4a7053fa86b64746d4bb688d06ad1f02a18fce9afd3e818fefaa7126bf73e"),
        (65,
         "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee",
         "c0a4edefa2d2accb9277c371ac12fcdbb52988a86edc54f0716e1591b4326e72",
         "51fd05c3c1cfbc8ed67d139ad76f5cf8236cd2acd26627a30c104dfd9d3ff8a8"),
        (1023,
         "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
         "c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e",
         "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5"),
        (1024,
         "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
         "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
         "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706"),
        (1025,
         "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
         "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69",
         "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"),
        (2048,
         "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
         "879cf1fa2ea0e79126cb1063617a05b6ad9d0b696d0d757cf053439f60a99dd1",
         "7b2945cb4fef70885cc5d78a87bf6f6207dd901ff239201351ffac04e1088a23"),
        (2049,
         "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
         "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5",
         "2ea477c5515cc3dd606512ee72bb3e0e758cfae7232826f35fb98ca1bcbdf273"),
        (3073,
         "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3",
         "68dede9bef00ba89e43f31a6825f4cf433389fedae75c04ee9f0cf16a427c95a",
         "72613c9ec9ff7e40f8f5c173784c532ad852e827dba2bf85b2ab4b76f7079081"),
        (8193,
         "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b",
         "954a2a75420c8d6547e3ba5b98d963e6fa6491addc8c023189cc519821b4a1f5",
         "af1e0346e389b17c23200270a64aa4e1ead98c61695d917de7d5b00491c9b0f1"),
        (31744,
         "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
         "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419",
         "39772aef80e0ebe60596361e45b061e8f417429d529171b6764468c22928e28e"),
        (102400,
         "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
         "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7",
         "4652cff7a3f385a6103b5c260fc1593e13c778dbe608efb092fe7ee69df6e9c6"),
    )

    def test_published_vectors(self):
        for length, plain, keyed, derived in self.PUBLISHED:
            with self.subTest(length):
                data = bytes(i % 251 for i in range(length))
                self.assertEqual(rp.Blake3().update(data).hexdigest(), plain)
                self.assertEqual(rp.Blake3(self.KEY).update(data).hexdigest(), keyed)
                self.assertEqual(rp.Blake3(context=self.CONTEXT).update(data).hexdigest(), derived)

    def test_pieces_have_the_digest_of_the_whole(self):
        data = bytes(i % 251 for i in range(3 * 256 * 1024 + 777))
        whole = rp.Blake3().update(data).hexdigest()
        for size in (1000, 4096, 256 * 1024, 256 * 1024 + 1):
            hasher = rp.Blake3()
            for at in range(0, len(data), size):
                hasher.update(data[at:at + size])
            self.assertEqual(hasher.hexdigest(), whole)
            self.assertEqual(hasher.hexdigest(), whole)


if __name__ == "__main__":
    unittest.main()
