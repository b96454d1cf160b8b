//! Places for boxes and arrows, in layers from left to right: what comes first stands further left.
//! Whole numbers only, so that the same drawing has the same places on every machine.

use super::Drawing;
use std::collections::BTreeSet;

/// Height of a box.
pub const BOX_HEIGHT: i64 = 40;
/// Room between the middles of two boxes above each other.
const PITCH: i64 = 56;
/// Room between the middles of two arrows that pass a layer, or of an arrow and a box.
const PASS: i64 = 18;
/// Room between two layers, for the arrows.
const GAP: i64 = 72;
/// Room around everything.
const MARGIN: i64 = 16;
/// Width of one character of the longest line of a box, in tenths.
const CHARACTER_TENTHS: i64 = 73;
/// Longest line of a box, in characters.
pub const LINE_MAX_CHARS: usize = 40;
/// Rounds in which neighbours pull each other into order and into place.
const ROUNDS: usize = 12;

/// A box in its place: its left upper corner, and how wide it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    pub x: i64,
    pub y: i64,
    pub width: i64,
}

/// Everything in its place.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub width: i64,
    pub height: i64,
    /// One place a box.
    pub places: Vec<Place>,
    /// The points that an arrow passes, one list an arrow, at least two points each.
    pub routes: Vec<Vec<(i64, i64)>>,
}

/// A box, or a place where a long arrow passes a layer.
struct Node {
    layer: usize,
    /// Nodes of the layer before, and of the one behind.
    before: Vec<usize>,
    behind: Vec<usize>,
    middle: i64,
    real: bool,
}

/// Places a drawing.
pub fn layout(drawing: &Drawing) -> Layout {
    let count = drawing.boxes.len();
    let (mut forward, mut linked) = (Vec::new(), BTreeSet::new());
    let turned = turned(drawing);
    for (arrow, turned) in drawing.arrows.iter().zip(&turned) {
        forward.push(if *turned { (arrow.to, arrow.from) } else { (arrow.from, arrow.to) });
        linked.extend([arrow.from, arrow.to]);
    }
    let layers = layers(count, &forward);
    let mut nodes: Vec<Node> = layers
        .iter()
        .map(|layer| Node { layer: *layer, before: vec![], behind: vec![], middle: 0, real: true })
        .collect();
    let chains: Vec<Vec<usize>> = forward.iter().map(|(from, to)| chain(&mut nodes, *from, *to)).collect();
    let deepest = layers.iter().copied().max().unwrap_or(0);
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); deepest + 1];
    for (at, node) in nodes.iter().enumerate() {
        if (at >= count || linked.contains(&at))
            && let Some(column) = columns.get_mut(node.layer)
        {
            column.push(at);
        }
    }
    order(&mut nodes, &mut columns);
    settle(&mut nodes, &columns);
    let alone: Vec<usize> = (0..count).filter(|at| !linked.contains(at)).collect();
    finish(drawing, &nodes, &columns, &chains, &turned, &alone)
}

/// Which arrows lead back: seen against them, the drawing has no circle.
fn turned(drawing: &Drawing) -> Vec<bool> {
    let count = drawing.boxes.len();
    let mut out: Vec<Vec<(usize, usize)>> = vec![Vec::new(); count];
    for (at, arrow) in drawing.arrows.iter().enumerate() {
        if let Some(list) = out.get_mut(arrow.from) {
            list.push((at, arrow.to));
        }
    }
    let mut turned = vec![false; drawing.arrows.len()];
    // 0: not seen, 1: on the way here, 2: done.
    let mut state = vec![0_u8; count];
    for start in 0..count {
        if state.get(start) != Some(&0) {
            continue;
        }
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        set(&mut state, start, 1);
        while let Some((node, next)) = way.pop() {
            let Some((arrow, to)) = out.get(node).and_then(|list| list.get(next)).copied() else {
                set(&mut state, node, 2);
                continue;
            };
            way.push((node, next + 1));
            match state.get(to) {
                Some(0) => {
                    set(&mut state, to, 1);
                    way.push((to, 0));
                }
                Some(1) => set(&mut turned, arrow, true),
                _ => {}
            }
        }
    }
    turned
}

fn set<T>(list: &mut [T], at: usize, value: T) {
    if let Some(place) = list.get_mut(at) {
        *place = value;
    }
}

/// The layer of each box: one more than that of the last box that comes before it.
fn layers(count: usize, forward: &[(usize, usize)]) -> Vec<usize> {
    let mut layers = vec![0_usize; count];
    // Without a circle this ends after as many rounds as there are layers.
    for _ in 0..count {
        let mut moved = false;
        for (from, to) in forward {
            let wanted = layers.get(*from).map_or(0, |layer| layer + 1);
            if layers.get(*to).is_some_and(|layer| *layer < wanted) {
                set(&mut layers, *to, wanted);
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    layers
}

/// The nodes of an arrow, one a layer; those between its ends are new.
fn chain(nodes: &mut Vec<Node>, from: usize, to: usize) -> Vec<usize> {
    let layer = |nodes: &[Node], at: usize| nodes.get(at).map_or(0, |node| node.layer);
    let mut chain = vec![from];
    for between in layer(nodes, from) + 1..layer(nodes, to) {
        nodes.push(Node { layer: between, before: vec![], behind: vec![], middle: 0, real: false });
        chain.push(nodes.len() - 1);
    }
    chain.push(to);
    for (left, right) in chain.iter().zip(chain.iter().skip(1)) {
        if let Some(node) = nodes.get_mut(*left) {
            node.behind.push(*right);
        }
        if let Some(node) = nodes.get_mut(*right) {
            node.before.push(*left);
        }
    }
    chain
}

/// The mean of some numbers, or what stands already.
fn mean(values: impl Iterator<Item = i64>, otherwise: i64) -> i64 {
    let (mut sum, mut count) = (0_i64, 0_i64);
    for value in values {
        sum += value;
        count += 1;
    }
    if count == 0 { otherwise } else { sum / count }
}

/// Sorts each layer by the mean place of its neighbours, forth and back.
fn order(nodes: &mut [Node], columns: &mut [Vec<usize>]) {
    let number = |nodes: &mut [Node], column: &[usize]| {
        for (place, at) in column.iter().enumerate() {
            if let Some(node) = nodes.get_mut(*at) {
                node.middle = i64::try_from(place).unwrap_or(i64::MAX / 4096) * 1024;
            }
        }
    };
    for column in columns.iter() {
        number(nodes, column);
    }
    let last = columns.len();
    for round in 0..ROUNDS {
        let forth = round % 2 == 0;
        for step in 0..last {
            let at = if forth { step } else { last - 1 - step };
            let Some(column) = columns.get_mut(at) else { continue };
            column.sort_by_key(|at| pulled(nodes, *at, forth));
            number(nodes, column);
        }
    }
}

/// Where the neighbours on one side pull a node.
fn pulled(nodes: &[Node], at: usize, forth: bool) -> i64 {
    let Some(node) = nodes.get(at) else { return 0 };
    let side = if forth { &node.before } else { &node.behind };
    mean(side.iter().filter_map(|other| nodes.get(*other)).map(|other| other.middle), node.middle)
}

/// Moves the nodes of each layer towards their neighbours, as far as order and room allow.
fn settle(nodes: &mut [Node], columns: &[Vec<usize>]) {
    for column in columns {
        let mut y = 0;
        for (place, at) in column.iter().enumerate() {
            if place > 0 {
                y += room(nodes, column.get(place - 1), Some(at));
            }
            if let Some(node) = nodes.get_mut(*at) {
                node.middle = y;
            }
        }
    }
    let last = columns.len();
    for round in 0..ROUNDS {
        let forth = round % 2 == 0;
        for step in 0..last {
            let at = if forth { step } else { last - 1 - step };
            if let Some(column) = columns.get(at) {
                let wanted: Vec<i64> = column.iter().map(|at| pulled(nodes, *at, forth)).collect();
                apart(nodes, column, &wanted);
            }
        }
    }
}

/// Room between the middles of two nodes above each other.
fn room(nodes: &[Node], one: Option<&usize>, other: Option<&usize>) -> i64 {
    let real = |at: Option<&usize>| at.and_then(|at| nodes.get(*at)).is_some_and(|node| node.real);
    match (real(one), real(other)) {
        (true, true) => PITCH,
        (false, false) => PASS,
        _ => BOX_HEIGHT / 2 + PASS,
    }
}

/// Gives each node the place nearest to the wanted one that keeps order and room: the mean of
/// neighbours that want to pass each other (isotonic regression).
fn apart(nodes: &mut [Node], column: &[usize], wanted: &[i64]) {
    let mut offset = 0;
    let mut offsets = Vec::with_capacity(column.len());
    for (place, at) in column.iter().enumerate() {
        if place > 0 {
            offset += room(nodes, column.get(place - 1), Some(at));
        }
        offsets.push(offset);
    }
    // Sum of the wanted places, and how many share it.
    let mut pools: Vec<(i64, i64)> = Vec::new();
    for (wanted, offset) in wanted.iter().zip(&offsets) {
        let mut pool = (wanted - offset, 1);
        while let Some(above) = pools.last().copied().filter(|above| above.0 * pool.1 > pool.0 * above.1) {
            pools.pop();
            pool = (above.0 + pool.0, above.1 + pool.1);
        }
        pools.push(pool);
    }
    let places = pools.iter().flat_map(|(sum, count)| {
        let place = sum.div_euclid(*count);
        (0..*count).map(move |_| place)
    });
    for ((at, place), offset) in column.iter().zip(places).zip(&offsets) {
        if let Some(node) = nodes.get_mut(*at) {
            node.middle = place + offset;
        }
    }
}

/// The width of a box with these lines.
fn width_of(name: &str, note: &str) -> i64 {
    let chars = name.chars().count().max(note.chars().count()).min(LINE_MAX_CHARS);
    i64::try_from(chars).unwrap_or(0) * CHARACTER_TENTHS / 10 + 24
}

fn finish(
    drawing: &Drawing,
    nodes: &[Node],
    columns: &[Vec<usize>],
    chains: &[Vec<usize>],
    turned: &[bool],
    alone: &[usize],
) -> Layout {
    let widths: Vec<i64> = drawing.boxes.iter().map(|drawn| width_of(&drawn.name, &drawn.note)).collect();
    let width = |at: usize| widths.get(at).copied().unwrap_or(0);
    let placed = || columns.iter().flatten().filter_map(|at| nodes.get(*at));
    let top = placed().map(|node| node.middle).min().unwrap_or(0);
    let bottom = placed().map(|node| node.middle).max().unwrap_or(0);
    let down = MARGIN + BOX_HEIGHT / 2 - top;
    let mut places = vec![Place::default(); drawing.boxes.len()];
    // Left and right end of each layer.
    let mut ends = Vec::new();
    let mut x = MARGIN;
    let mut right = 0;
    for column in columns {
        let wide = column.iter().map(|at| width(*at)).max().unwrap_or(0);
        if column.is_empty() {
            ends.push((x, x));
            continue;
        }
        for at in column {
            if let (Some(node), Some(place)) = (nodes.get(*at), places.get_mut(*at)) {
                *place = Place { x, y: node.middle + down - BOX_HEIGHT / 2, width: wide };
            }
        }
        ends.push((x, x + wide));
        right = x + wide;
        x += wide + GAP;
    }
    let routes = chains.iter().zip(turned).map(|(chain, turned)| {
        let mut route: Vec<(i64, i64)> = Vec::new();
        for (step, at) in chain.iter().enumerate() {
            let Some(node) = nodes.get(*at) else { continue };
            let (left, right) = ends.get(node.layer).copied().unwrap_or_default();
            let y = node.middle + down;
            if step > 0 {
                route.push((left, y));
            }
            if step + 1 < chain.len() {
                route.push((right, y));
            }
        }
        if *turned {
            route.reverse();
        }
        route
    });
    let routes = routes.collect();
    let linked_height = if right == 0 { 0 } else { bottom - top + BOX_HEIGHT + MARGIN };
    let grid = grid(&mut places, &widths, alone, right.max(900), linked_height + MARGIN);
    Layout { width: right.max(grid.0) + MARGIN, height: grid.1.max(linked_height + MARGIN), places, routes }
}

/// Places what has no arrows below the rest, in rows; answers with the right and the lower end.
fn grid(places: &mut [Place], widths: &[i64], alone: &[usize], wide: i64, top: i64) -> (i64, i64) {
    let widest = alone.iter().filter_map(|at| widths.get(*at)).copied().max().unwrap_or(0);
    let columns = ((wide - MARGIN) / (widest + MARGIN)).max(1);
    let (mut right, mut lower) = (0, 0);
    for (number, at) in (0_i64..).zip(alone) {
        let (x, y) =
            (MARGIN + number % columns * (widest + MARGIN), top + number / columns * (BOX_HEIGHT + MARGIN));
        set(places, *at, Place { x, y, width: widest });
        right = right.max(x + widest);
        lower = y + BOX_HEIGHT + MARGIN;
    }
    (right, lower)
}
