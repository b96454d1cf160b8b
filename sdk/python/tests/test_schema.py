"""Judging properties by their schema, and definitions that are refused before anything works."""

import unittest

from tests.support import rp


def schema(properties, **others):
    return dict({"type": "object", "additionalProperties": False, "properties": properties}, **others)


class Judging(unittest.TestCase):
    def judge(self, node, value):
        return rp._Schema(schema({"a": node})).problem({"a": value})

    def test_each_keyword_can_refuse(self):
        cases = [
            ({"type": "string"}, "x", 1), ({"type": ["string", "null"]}, None, 1), ({"type": "integer"}, 1, True),
            ({"type": "boolean"}, True, 1), ({"type": "array"}, [], {}), ({"type": "object"}, {}, []),
            ({"enum": ["a", 1]}, 1, True), ({"const": 0}, 0, False), ({"minLength": 2}, "é€", "a"),
            ({"maxLength": 1}, "é", "ab"), ({"pattern": "^a+$"}, "aa", "aa\n"), ({"pattern": "b"}, "abc", "ac"),
            ({"pattern": "[$]x"}, "$x", "x"), ({"pattern": "[^]a]"}, "b", "]"),
            ({"minimum": 3}, 3, 2), ({"maximum": 3}, 3, 4), ({"exclusiveMinimum": 3}, 4, 3),
            ({"exclusiveMaximum": 3}, 2, 3), ({"multipleOf": 2}, 4, 5), ({"minItems": 1}, [1], []),
            ({"maxItems": 1}, [1], [1, 2]), ({"uniqueItems": True}, [1, True], [1, 1]),
            ({"items": {"type": "string"}}, ["a"], [1]), ({"contains": {"const": 1}}, [0, 1], [0]),
            ({"prefixItems": [{"const": 1}], "items": False}, [1], [1, 2]),
            ({"required": ["b"]}, {"b": 1}, {}), ({"minProperties": 1}, {"b": 1}, {}),
            ({"maxProperties": 0}, {}, {"b": 1}), ({"propertyNames": {"pattern": "^b"}}, {"b": 1}, {"c": 1}),
            ({"additionalProperties": {"type": "string"}}, {"b": "x"}, {"b": 1}),
            ({"dependentRequired": {"b": ["c"]}}, {"b": 1, "c": 1}, {"b": 1}),
            ({"anyOf": [{"const": 1}, {"const": 2}]}, 2, 3), ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 2, 3),
            ({"oneOf": [{"minimum": 1}, {"maximum": 2}]}, 5, 2), ({"not": {"const": 1}}, 2, 1),
            ({"if": {"minimum": 5}, "then": {"maximum": 6}, "else": {"maximum": 2}}, 6, 3),
        ]
        for node, good, bad in cases:
            with self.subTest(node):
                self.assertIsNone(self.judge(node, good))
                self.assertTrue(self.judge(node, bad)[0].startswith("/a"))

    def test_a_reference_within_the_schema_is_followed(self):
        node = rp._Schema(schema({"a": {"$ref": "#/$defs/name"}}, **{"$defs": {"name": {"type": "string"}}}))
        self.assertIsNone(node.problem({"a": "x"}))
        self.assertEqual(node.problem({"a": 1})[0], "/a")

    def test_the_place_is_a_json_pointer(self):
        node = rp._Schema(schema({"a/b": {"type": "array", "items": {"type": "integer"}}}))
        self.assertEqual(node.problem({"a/b": [1, "x"]}), ("/a~1b/1", "expected integer"))
        self.assertEqual(node.problem({"x~y": 1})[0], "/x~0y")

    def test_defaults_are_filled_in_where_nothing_is_written(self):
        node = rp._Schema(schema({
            "a": {"default": 1}, "d": {"default": None},
            "b": {"type": "object", "properties": {"c": {"default": []}}}}))
        self.assertEqual(node.fill({"b": {}}), {"a": 1, "b": {"c": []}})


class Definitions(unittest.TestCase):
    def define(self, **options):
        options.setdefault("schema", schema({"path": {"type": "string"}}, required=["path"]))
        options.setdefault("writes", {"path": "path"})

        class Type:
            """A type."""

            def read(self, cx, identity):
                return None

            def apply(self, cx, step):
                pass
        name = options.pop("name", "a.b")
        return rp.Provider("a", [rp.resource(name, **options)(Type)], "1")

    def test_what_contradicts_itself_is_refused(self):
        self.define()
        for options in [
            {"name": "nonsense"}, {"writes": {}}, {"writes": {"other": "path"}}, {"prediction": "sure"},
            {"retry": "never"}, {"undo": "perhaps"},
            {"schema": {"type": "object"}}, {"schema": schema({"path": {"type": "string"}})},
            {"schema": schema({"path": {"type": "text"}})},
            {"schema": schema({"path": {"minimun": 1}})}, {"schema": schema({"path": {"minimum": 0.5}})},
            {"schema": schema({"path": {"pattern": "("}})}, {"schema": schema({"path": {"pattern": "[[:alpha:]]"}})},
            {"schema": schema({"path": {"pattern": "\\p{Greek}"}})},
            {"schema": schema({"path": {"$ref": "#/nowhere"}})},
            {"schema": schema({"path": {"$ref": "http://elsewhere"}})},
        ]:
            with self.subTest(str(options)):
                with self.assertRaises(rp.DefinitionError):
                    self.define(**options)

    def test_a_type_needs_its_methods_and_a_summary(self):
        with self.assertRaises(rp.DefinitionError):
            rp.resource("a.b", schema=schema({}), writes={"x": "path"})(type("Empty", (), {}))

        class Nameless:
            def ask(self, cx, properties):
                return True, ""
        with self.assertRaises(rp.DefinitionError):
            rp.Provider("a", [rp.probe("a.b", schema=schema({}))(Nameless)], "1")

    def test_two_types_of_one_name_are_refused(self):
        class Ask:
            """Asks."""

            def ask(self, cx, properties):
                return True, ""
        one = rp.probe("a.b", schema=schema({}))(Ask)
        with self.assertRaises(rp.DefinitionError):
            rp.Provider("a", [one, one], "1")


if __name__ == "__main__":
    unittest.main()
